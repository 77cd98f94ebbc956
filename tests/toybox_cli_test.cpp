// t3d toybox from the outside.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/run_program.h"

namespace t3d {
namespace {

using ::testing::HasSubstr;
using testing::run_t3d;
using testing::TemporaryFolder;

#ifdef T3D_HAS_EMBREE

TEST(ToyboxData, ALargerNumberAddsToAFolder) {
  const TemporaryFolder folder;
  const auto make = [&](const std::string& name, const std::string& more) {
    return run_t3d("toybox data --res 16 --samples 1 -o " + folder / name + more);
  };
  ASSERT_EQ(make("grown", " --objects 3").exit_code, 0);
  const auto grown = make("grown", " --objects 5");
  ASSERT_EQ(grown.exit_code, 0) << grown.output;
  ASSERT_EQ(make("whole", " --objects 5").exit_code, 0);
  for (const char* file : {"set.json", "shard-00000.safetensors"})
    EXPECT_EQ(testing::read_text(folder / "grown/" + file), testing::read_text(folder / "whole/" + file))
        << file;

  const auto fewer = make("grown", " --objects 4");
  EXPECT_EQ(fewer.exit_code, 2);
  EXPECT_THAT(fewer.output, HasSubstr("has 5 objects already"));
  const auto other = make("grown", " --objects 6 --seed 3");
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.output, HasSubstr("was made with seed 0, and what was asked for has 3"));
}

#endif

}  // namespace
}  // namespace t3d
