#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "t3d/core/atomic_file.h"
#include "t3d/core/checksum.h"
#include "t3d/core/error.h"
#include "t3d/core/remove_tree.h"
#include "tests/support/fault_injection.h"
#include "tests/support/temporary_folder.h"

namespace t3d {
namespace {

using testing::Fault;
using testing::FaultInjection;
using testing::read_text;
using testing::TemporaryFolder;

size_t n_entries(const TemporaryFolder& folder) {
  size_t n = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.string())) n += entry.exists() ? 1 : 0;
  return n;
}

TEST(AtomicFile, ReplacesTheWholeFileAndLeavesNothingElse) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a/b/x.txt", "old");
  const std::string large(5 << 20, 'n');
  AtomicFile file(folder / "a/b/x.txt");
  file.write("new");
  file.write(large);
  file.write("end");
  EXPECT_EQ(read_text(folder / "a/b/x.txt"), "old") << "nothing is visible before commit()";
  file.commit();
  EXPECT_EQ(read_text(folder / "a/b/x.txt"), "new" + large + "end");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder / "a/b"), {}), 1);
}

TEST(AtomicFile, DisappearsWhenItIsNotCommitted) {
  const TemporaryFolder folder;
  { AtomicFile(folder / "x").write("half"); }
  EXPECT_EQ(n_entries(folder), 0u);
}

TEST(AtomicFile, FollowsASymbolicLink) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "real", "old");
  ASSERT_EQ(symlink("real", (folder / "link").c_str()), 0);
  write_file_atomically(folder / "link", "new");
  EXPECT_EQ(read_text(folder / "real"), "new");
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link"));
}

TEST(AtomicFile, RefusesFoldersAndDevices) {
  const TemporaryFolder folder;
  EXPECT_THROW(AtomicFile(folder.string()), SystemError);
  EXPECT_THROW(AtomicFile("/dev/null"), SystemError);
  EXPECT_THROW(AtomicFile(""), SystemError);
  write_file_atomically(folder / "file", "x");
  EXPECT_THROW(AtomicFile(folder / "file/below"), SystemError);
}

TEST(AtomicFile, KeepsTheOldFileWhicheverCallFails) {
  const TemporaryFolder folder;
  const std::string bytes(3 << 20, 'x');
  int n_calls = 0;
  {
    write_file_atomically(folder / "x", "old");
    const FaultInjection counter;
    write_file_atomically(folder / "x", bytes);
    n_calls = counter.n_calls();
  }
  ASSERT_GE(n_calls, 7);  // open, write, sync, close, rename, and open, sync, close of the folder
  for (const Fault fault : {Fault::FailOnce, Fault::FailFromThere})
    for (const int error : {ENOSPC, EIO})
      for (int n = 1; n <= n_calls; ++n) {
        write_file_atomically(folder / "x", "old");
        bool has_failed = false;
        {
          const FaultInjection injection(fault, n, error);
          try {
            write_file_atomically(folder / "x", bytes);
          } catch (const SystemError&) {
            has_failed = true;
          }
        }
        const std::string found = read_text(folder / "x");
        EXPECT_TRUE(found == "old" || found == bytes) << "call " << n;
        EXPECT_TRUE(has_failed || found == bytes) << "success was reported for call " << n;
        EXPECT_TRUE(fault != Fault::FailOnce || n_entries(folder) == 1)
            << "a temporary file is left after call " << n;
        for (const auto& entry : std::filesystem::directory_iterator(folder.string()))
          if (entry.path().filename() != "x") std::filesystem::remove(entry.path());
      }
}

TEST(AtomicFile, ContinuesShortAndBrokenOffWrites) {
  const TemporaryFolder folder;
  std::string bytes;
  for (int i = 0; i < 30000; ++i) bytes += static_cast<char>(i * 7);
  {
    const FaultInjection injection(Fault::ShortWrites, 17);
    write_file_atomically(folder / "short", bytes);
  }
  {
    const FaultInjection injection(Fault::Interrupted);
    write_file_atomically(folder / "signals", bytes);
  }
  EXPECT_EQ(read_text(folder / "short"), bytes);
  EXPECT_EQ(read_text(folder / "signals"), bytes);
}

TEST(AtomicFile, SaysThatTheDiskIsFull) {
  const TemporaryFolder folder;
  const FaultInjection injection(Fault::FailFromThere, 2, ENOSPC);
  try {
    write_file_atomically(folder / "x", "bytes");
    FAIL();
  } catch (const SystemError& failure) {
    EXPECT_THAT(failure.what(), ::testing::HasSubstr("No space left on device"));
    EXPECT_EQ(failure.exit_code(), 3);
  }
}

TEST(ReadWholeFile, ReadsFilesThatAnnounceNoSizeAndRefusesLargeOnes) {
  EXPECT_THAT(read_whole_file("/proc/self/status"), ::testing::HasSubstr("VmRSS"));
  const TemporaryFolder folder;
  write_file_atomically(folder / "x", std::string(100, 'x'));
  EXPECT_EQ(read_whole_file(folder / "x", 100).size(), 100u);
  EXPECT_THROW(read_whole_file(folder / "x", 99), UserError);
  EXPECT_THROW(read_whole_file(folder / "absent"), SystemError);
  EXPECT_THROW(read_whole_file(folder.string()), SystemError);
}

TEST(RemoveTree, RemovesFoldersButNotWhatLinksPointTo) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "kept/x", "bytes");
  write_file_atomically(folder / "gone/a/b/x", "bytes");
  std::filesystem::create_directory_symlink(folder / "kept", folder / "gone/a/link");
  std::filesystem::create_symlink(folder / "nowhere", folder / "gone/dangling");
  remove_tree(folder / "gone");
  EXPECT_EQ(n_entries(folder), 1u);
  EXPECT_EQ(read_text(folder / "kept/x"), "bytes");
  remove_tree(folder / "gone");
  remove_tree(folder / "kept/x/below-a-file");
  remove_tree(folder / "kept/x");
  EXPECT_FALSE(std::filesystem::exists(folder / "kept/x"));
}

TEST(RemoveTree, NamesWhatCannotBeRemoved) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a/x", "bytes");
  const FaultInjection injection(Fault::FailFromThere, 1, EACCES);
  try {
    remove_tree(folder / "a");
    FAIL();
  } catch (const SystemError& failure) {
    EXPECT_THAT(failure.what(), ::testing::HasSubstr("a/x: cannot be removed: Permission denied"));
  }
}

TEST(Crc32c, GivesTheKnownAnswersAndTheSameInPieces) {
  EXPECT_EQ(crc32c("123456789", 9), 0xE3069283u);
  const std::string zeros(32, '\0');  // RFC 3720, B.4
  EXPECT_EQ(crc32c(zeros.data(), 32), 0x8A9136AAu);
  std::string text;
  for (int i = 0; i < 1000; ++i) text += static_cast<char>(i * 31 + i / 7);
  for (const size_t cut : {size_t{0}, size_t{1}, size_t{7}, size_t{8}, size_t{999}}) {
    const uint32_t whole = crc32c(text.data() + cut, text.size() - cut, crc32c(text.data(), cut));
    EXPECT_EQ(whole, crc32c_portable(text.data(), text.size()));
  }
  EXPECT_EQ(checksum_text(0x1a), "0000001a");
}

}  // namespace
}  // namespace t3d
