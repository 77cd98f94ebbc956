#include "t3d/cli/struct_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace t3d::cli {
namespace {

using ::testing::HasSubstr;

struct Video {
  int frames = 48;
  template <class V>
  void visit(V& v) {
    v("frames", frames, config::in_range(2, 1000), "frames of the turntable");
  }
};

struct Options {
  double time_budget = 60;
  std::optional<int> steps;
  std::string device = "auto";
  std::vector<int> sizes = {64};
  bool mesh = true, resume = false;
  Video video;
  template <class V>
  void visit(V& v) {
    v("time_budget", time_budget, config::in_range(1, 1e7), "seconds for the whole run");
    v("steps", steps, config::positive(), "training steps");
    v("device", device, config::one_of({"auto", "cpu", "cuda"}), "where to run");
    v("sizes", sizes, config::any(), "image sizes");
    v("mesh", mesh, config::any(), "write a mesh");
    v("resume", resume, config::any(), "go on from a checkpoint");
    v("video", video, config::any(), "turntable");
  }
};

std::string parse(Options& options, std::vector<std::string> words) {
  CLI::App app("a test", "t3d");
  add_struct_options(app, options);
  std::reverse(words.begin(), words.end());
  try {
    app.parse(words);
  } catch (const CLI::ParseError& failure) {
    return failure.what();
  }
  return "";
}

TEST(StructOptions, EachFieldIsAnOption) {
  Options o;
  EXPECT_EQ(parse(o, {"--time-budget", "12.5", "--steps", "7", "--device", "cpu", "--sizes", "8", "16",
                      "--no-mesh", "--resume", "--video-frames", "9"}),
            "");
  EXPECT_EQ(o.time_budget, 12.5);
  EXPECT_EQ(o.steps, 7);
  EXPECT_EQ(o.device, "cpu");
  EXPECT_EQ(o.sizes, (std::vector<int>{8, 16}));
  EXPECT_FALSE(o.mesh);
  EXPECT_TRUE(o.resume);
  EXPECT_EQ(o.video.frames, 9);
}

TEST(StructOptions, WhatIsNotGivenKeepsItsDefault) {
  Options o;
  EXPECT_EQ(parse(o, {}), "");
  EXPECT_EQ(o.time_budget, 60);
  EXPECT_FALSE(o.steps.has_value());
  EXPECT_TRUE(o.mesh);
}

TEST(StructOptions, WrongValuesSayWhatIsExpected) {
  Options o;
  EXPECT_EQ(parse(o, {"--time-budget", "0.5"}), "--time-budget is 0.5, expected 1 to 1e+07. See --help.");
  EXPECT_EQ(parse(o, {"--steps", "1.5"}), "--steps is 1.5, expected an int. See --help.");
  EXPECT_EQ(parse(o, {"--device", "cud"}),
            "--device is cud, expected one of auto, cpu, cuda; did you mean cuda? See --help.");
}

TEST(StructOptions, HelpHasDefaultsAndRanges) {
  Options o;
  CLI::App app("a test", "t3d");
  add_struct_options(app, o);
  const std::string help = app.help();
  EXPECT_THAT(help, HasSubstr("[float; 1 to 1e+07; default: 60.0]"));
  EXPECT_THAT(help, HasSubstr("[int; above 0]"));
  EXPECT_THAT(help, ::testing::ContainsRegex("--no-mesh +Do not write a mesh"));
}

}  // namespace
}  // namespace t3d::cli
