#include "t3d/train/checkpoint.h"

#include <ATen/ATen.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "t3d/core/error.h"
#include "t3d/core/rng.h"
#include "tests/support/fault_injection.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace t3d::train {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using testing::Fault;
using testing::FaultInjection;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::message_of;
using testing::TemporaryFolder;

/// Contents that depend on the step alone.
Checkpoint made_for(int64_t step) {
  Checkpoint checkpoint;
  checkpoint.step = step;
  checkpoint.tensors["params"] = at::arange(1000).to(at::kFloat).mul_(0.1f).add_(static_cast<float>(step));
  checkpoint.tensors["grid bits"] = at::arange(77).add_(step).to(at::kByte);
  checkpoint.tensors["step"] = at::tensor(step);
  checkpoint.state = {{"rng", {step, 2, 3}}, {"loss", 0.1 * static_cast<double>(step)}};
  return checkpoint;
}

void expect_made_for(const std::string& path, int64_t step) {
  const auto loaded = load_checkpoint(path);
  const auto expected = made_for(step);
  EXPECT_EQ(loaded.step, step);
  EXPECT_EQ(loaded.state, expected.state);
  ASSERT_EQ(loaded.tensors.size(), expected.tensors.size());
  for (const auto& [name, tensor] : expected.tensors)
    EXPECT_TRUE(at::equal(loaded.tensors.at(name), tensor)) << name;
}

std::vector<std::string> entries(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

TEST(Checkpoint, LoadsWhatWasSaved) {
  const TemporaryFolder folder;
  const auto path = save_checkpoint(folder / "ckpts", 1000, made_for(1000));
  EXPECT_EQ(path, folder / "ckpts/step_00001000");
  EXPECT_THAT(entries(folder / "ckpts"), ElementsAre("step_00001000"));
  EXPECT_THAT(entries(path), ElementsAre("COMPLETE", "state.json", "tensors.safetensors"));
  expect_made_for(path, 1000);
}

TEST(Checkpoint, ReplacesOneOfTheSameStep) {
  const TemporaryFolder folder;
  auto changed = made_for(5);
  changed.state["changed"] = true;
  save_checkpoint(folder.string(), 5, changed);
  const auto path = save_checkpoint(folder.string(), 5, made_for(5));
  expect_made_for(path, 5);
  EXPECT_THAT(entries(folder.string()), ElementsAre("step_00000005"));
}

TEST(Checkpoint, LatestIsTheNewestIntactOne) {
  const TemporaryFolder folder;
  EXPECT_FALSE(latest_intact(folder.string()).has_value());
  for (const int64_t step : {100, 3900, 4000}) save_checkpoint(folder.string(), step, made_for(step));
  EXPECT_EQ(latest_intact(folder.string())->step, 4000);
  fs::remove(folder / "step_00004000/COMPLETE");
  const auto found = latest_intact(folder.string());
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->step, 3900);
  EXPECT_THAT(
      found->skipped,
      ElementsAre(
          "checkpoint step_00004000 is incomplete (no completion mark); resuming from step_00003900."));
}

TEST(Checkpoint, OneSavedBeforeAWrongFolderNameStillCountsByItsNumber) {
  const TemporaryFolder folder;
  save_checkpoint(folder.string(), 7, made_for(7));
  for (const char* name : {"step_", "step_x", "step_9999999999999999999", "other", "step_8.tmp"})
    fs::create_directory(folder / name);
  EXPECT_EQ(latest_intact(folder.string())->step, 7);
}

TEST(Checkpoint, KeepsTheLastFew) {
  const TemporaryFolder folder;
  for (int64_t step = 1; step <= 5; ++step) save_checkpoint(folder.string(), step, made_for(step), {2});
  EXPECT_THAT(entries(folder.string()), ElementsAre("step_00000004", "step_00000005"));
  expect_made_for(folder / "step_00000004", 4);
}

TEST(Checkpoint, KilledAtAnyWriteStillLoadsAnEarlierStep) {
  int n_calls = 0;
  {
    const TemporaryFolder folder;
    save_checkpoint(folder.string(), 1, made_for(1), {2});
    save_checkpoint(folder.string(), 2, made_for(2), {2});
    const FaultInjection counter;
    save_checkpoint(folder.string(), 3, made_for(3), {2});
    n_calls = counter.n_calls();
  }
  ASSERT_GT(n_calls, 20);
  for (const Fault fault : {Fault::FailOnce, Fault::FailFromThere})
    for (int n = 1; n <= n_calls; ++n) {
      const TemporaryFolder folder;
      save_checkpoint(folder.string(), 1, made_for(1), {2});
      save_checkpoint(folder.string(), 2, made_for(2), {2});
      bool has_failed = false;
      {
        const FaultInjection injection(fault, n, n % 2 == 0 ? EIO : ENOSPC);
        try {
          save_checkpoint(folder.string(), 3, made_for(3), {2});
        } catch (const SystemError&) {
          has_failed = true;
        }
      }
      const auto found = latest_intact(folder.string());
      ASSERT_TRUE(found.has_value()) << "call " << n;
      EXPECT_TRUE(found->step == 3 || (has_failed && found->step == 2)) << "call " << n;
      expect_made_for(found->path, found->step);
      expect_made_for(folder / "step_00000002", 2);
      // The next save clears what the failed one left.
      save_checkpoint(folder.string(), 4, made_for(4), {2});
      for (const auto& name : entries(folder.string()))
        EXPECT_EQ(name.rfind("step_", 0), 0u) << name << " after call " << n;
    }
}

TEST(Checkpoint, ReplacingOneOfTheSameStepSurvivesAnyFailedCall) {
  int n_calls = 0;
  {
    const TemporaryFolder folder;
    save_checkpoint(folder.string(), 1, made_for(1));
    const FaultInjection counter;
    save_checkpoint(folder.string(), 1, made_for(1));
    n_calls = counter.n_calls();
  }
  for (int n = 1; n <= n_calls; ++n) {
    const TemporaryFolder folder;
    save_checkpoint(folder.string(), 1, made_for(1));
    {
      const FaultInjection injection(Fault::FailFromThere, n, EIO);
      message_of([&] { save_checkpoint(folder.string(), 1, made_for(1)); });
    }
    ASSERT_TRUE(latest_intact(folder.string()).has_value()) << "call " << n;
    expect_made_for(folder / "step_00000001", 1);
  }
}

TEST(Checkpoint, AnyFlippedBitIsFound) {
  const TemporaryFolder folder;
  Checkpoint small;
  small.step = 3;
  small.tensors["w"] = at::arange(4);
  small.state = {{"seed", 7}};
  const auto path = save_checkpoint(folder.string(), 3, small);
  for (const char* name : {"COMPLETE", "state.json", "tensors.safetensors"}) {
    const std::string file = path + "/" + name;
    const std::string bytes = testing::read_text(file);
    const int fd = open(file.c_str(), O_WRONLY);
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      const char damaged = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
      ASSERT_EQ(pwrite(fd, &damaged, 1, static_cast<off_t>(bit / 8)), 1);
      ASSERT_NE(why_not_intact(path), "") << name << " bit " << bit;
      ASSERT_EQ(pwrite(fd, &bytes[bit / 8], 1, static_cast<off_t>(bit / 8)), 1);
    }
    close(fd);
    testing::write_text(file, bytes.substr(0, bytes.size() - 1));
    EXPECT_NE(why_not_intact(path), "") << name << " cut short";
    testing::write_text(file, bytes);
    EXPECT_EQ(why_not_intact(path), "");
  }
}

TEST(Checkpoint, NamesTheDamagedTensor) {
  const TemporaryFolder folder;
  const auto path = save_checkpoint(folder.string(), 3, made_for(3));
  std::string bytes = testing::read_text(path + "/tensors.safetensors");
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  testing::write_text(path + "/tensors.safetensors", bytes);
  EXPECT_THAT(why_not_intact(path), HasSubstr("tensor \"grid bits\" is damaged"));
  save_checkpoint(folder.string(), 2, made_for(2));
  const auto text = message_of([&] { load_checkpoint(path); });
  EXPECT_THAT(text, HasSubstr("is incomplete (tensors.safetensors"));
  EXPECT_THAT(text, HasSubstr("The newest intact one beside it is step_00000002"));
}

TEST(Checkpoint, KillingTheWriterAtRandomMomentsLosesNothing) {
  const TemporaryFolder folder;
  save_checkpoint(folder.string(), 1, made_for(1), {3});
  Rng rng(17);
  for (int round = 0; round < 25; ++round) {
    const int64_t first = latest_intact(folder.string())->step + 1;
    const pid_t child = fork();
    if (child == 0) {
      for (int64_t step = first;; ++step) save_checkpoint(folder.string(), step, made_for(step), {3});
    }
    usleep(static_cast<useconds_t>(500 + rng.below(20000)));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    const auto found = latest_intact(folder.string());
    ASSERT_TRUE(found.has_value()) << "round " << round;
    EXPECT_GE(found->step, first - 1);
    EXPECT_THAT(found->skipped, IsEmpty()) << "a killed writer leaves no visible half";
    expect_made_for(found->path, found->step);
  }
}

TEST(FindCheckpoint, UnderstandsRunFolderCkptsFolderLastAndStep) {
  const TemporaryFolder folder;
  save_checkpoint(folder / "run/ckpts", 1, made_for(1));
  save_checkpoint(folder / "run/ckpts", 2, made_for(2));
  for (const char* path :
       {"run", "run/", "run/ckpts", "run/ckpts/last", "run/ckpts/last.ckpt", "run/ckpts/step_00000002/"})
    EXPECT_EQ(find_checkpoint(folder / path).step, 2) << path;
  EXPECT_EQ(find_checkpoint(folder / "run/ckpts/step_00000001").step, 1);
}

TEST(FindCheckpoint, SaysWhatItFoundAtAWrongPath) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "run/ckpts");
  EXPECT_THAT(message_of([&] { find_checkpoint(folder / "rnu"); }),
              HasSubstr("is not there; did you mean run?"));
  EXPECT_THAT(message_of([&] { find_checkpoint(folder / "run"); }),
              HasSubstr("holds no intact checkpoint; found nothing"));
  save_checkpoint(folder / "run/ckpts", 9, made_for(9));
  fs::remove(folder / "run/ckpts/step_00000009/state.json");
  EXPECT_THAT(message_of([&] { find_checkpoint(folder / "run"); }),
              HasSubstr("step_00000009 (state.json cannot be read: No such file"));
  EXPECT_THAT(message_of([&] { find_checkpoint(folder / "run/ckpts/step_00000009"); }),
              HasSubstr("There is no intact one beside it"));
}

}  // namespace
}  // namespace t3d::train
