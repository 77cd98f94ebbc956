#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

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

TEST(List, PrintsFamiliesTypesAndKeys) {
  EXPECT_THAT(run_t3d("list").output, HasSubstr("implicit-volume"));
  EXPECT_THAT(run_t3d("list encoding").output, HasSubstr("log2_hashmap_size"));
  EXPECT_THAT(run_t3d("list volume-grid").output, HasSubstr("grid_size"));
  const auto wrong = run_t3d("list geometri");
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.output, HasSubstr("did you mean geometry?"));
}

TEST(List, TheReferencePageIsTheOneInDocs) {
  std::ifstream file(T3D_SOURCE_DIR "/docs/reference.md");
  std::ostringstream page;
  page << file.rdbuf();
  EXPECT_TRUE(run_t3d("list --markdown").output == page.str())
      << "docs/reference.md is old: t3d list --markdown > docs/reference.md";
}

}  // namespace
}  // namespace t3d
