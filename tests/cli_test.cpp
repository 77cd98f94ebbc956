#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/run_program.h"

namespace t3d {
namespace {

using ::testing::HasSubstr;
using testing::run_t3d;

TEST(CommandLine, SuggestsTheNearestCommand) {
  const auto result = run_t3d("docter");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.output, HasSubstr("unknown command docter; did you mean doctor?"));
}

TEST(CommandLine, SuggestsTheNearestOption) {
  const auto result = run_t3d("test --golde");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.output, HasSubstr("unknown option --golde; did you mean --golden?"));
}

TEST(CommandLine, PrintsHelpAndFailsWithoutACommand) {
  const auto result = run_t3d("");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.output, HasSubstr("doctor"));
}

TEST(Doctor, ReportsTuningAndFeatures) {
  const auto result = run_t3d("doctor");
  EXPECT_EQ(result.exit_code, 0);
  for (const char* part : {"LibTorch", "threads", "OpenBLAS", "ATen capability", "malloc", "Embree"})
    EXPECT_THAT(result.output, HasSubstr(part));
}

TEST(Doctor, SaysWhenTuningIsSwitchedOff) {
  EXPECT_THAT(run_t3d("doctor", "T3D_NO_TUNING=1").output, HasSubstr("T3D_NO_TUNING=1 is set"));
}

}  // namespace
}  // namespace t3d
