#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "t3d/core/error.h"
#include "t3d/io/npy.h"
#include "tests/support/message_of.h"
#include "tests/support/npz_writer.h"
#include "tests/support/temporary_folder.h"

namespace t3d::io {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::npz;
using testing::npz_array;
using testing::TemporaryFolder;

const std::vector<testing::NpzEntry> kTwo = {
    {"vertices.npy", npz_array<double>("<f8", {2, 3}, {0, 0.5, 1, -1, 2.25, 3})},
    {"indices.npy", npz_array<int64_t>("<i8", {1, 4}, {3, 2, 1, 0})}};

std::string message(const std::string& bytes) {
  const TemporaryFolder folder;
  testing::write_text(folder / "a.npz", bytes);
  return testing::message_of<UserError>([&] { read_npz(folder / "a.npz"); });
}

TEST(Npz, HoldsItsArraysStoredOrCompressed) {
  const TemporaryFolder folder;
  for (const bool compress : {false, true}) {
    testing::write_text(folder / "a.npz", npz(kTwo, compress));
    const auto arrays = read_npz(folder / "a.npz");
    ASSERT_EQ(arrays.size(), 2u);
    EXPECT_THAT(arrays.at("vertices").shape, ElementsAre(2, 3));
    EXPECT_THAT(arrays.at("vertices").values, ElementsAre(0, 0.5, 1, -1, 2.25, 3));
    EXPECT_THAT(arrays.at("indices").values, ElementsAre(3, 2, 1, 0));
  }
}

TEST(Npz, SaysWhatIsWrong) {
  EXPECT_THAT(message("PK no"), HasSubstr("a.npz: "));
  EXPECT_THAT(message("vertices"), HasSubstr("this is no .npz file"));
  EXPECT_THAT(message(npz({{"a.npy", "1 2 3"}}, true)), HasSubstr("a.npz: a: this is no .npy file"));
  const std::string whole = npz(kTwo, true);
  EXPECT_THAT(message(whole.substr(0, whole.size() / 2)), HasSubstr("cut off"));
  std::string damaged = whole;
  for (size_t i = 60; i < 75; ++i) damaged[i] = '\x55';  // inside what is packed
  EXPECT_THAT(message(damaged), HasSubstr("does not unpack to the"));
}

TEST(Npz, NoEntryClaimsMoreThanDeflateCanHold) {
  std::vector<testing::NpzEntry> huge = kTwo;
  huge[0].claimed = uint64_t{1} << 30;
  EXPECT_THAT(message(npz(huge, true)), HasSubstr("claims to hold 1073741824"));
  huge[0].claimed = 20;
  EXPECT_THAT(message(npz(huge, true)), HasSubstr("does not unpack to the 20 bytes"));
}

}  // namespace
}  // namespace t3d::io
