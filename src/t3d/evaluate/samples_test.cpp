#include "t3d/evaluate/samples.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "t3d/core/error.h"
#include "t3d/core/remove_tree.h"
#include "t3d/data/captioned_views.h"
#include "t3d/evaluate/captions.h"
#include "t3d/prior/judge_trainer.h"
#include "tests/support/optional_libraries.h"

namespace t3d::evaluate {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kCaptions{"a red sphere", "a green sphere", "a blue sphere",
                                         "a yellow sphere"};

/// A small judge that knows four captions.
struct Samples : ::testing::Test {
  static std::string folder() { return ::testing::TempDir() + "evaluate_samples"; }
  static std::string judge_folder() { return folder() + "/run/judge"; }

  void SetUp() override { T3D_NEED_EMBREE(); }
  static void SetUpTestSuite() {
    remove_tree(folder());
    if (!testing::kHasEmbree) return;
    fs::create_directories(folder() + "/data");
    data::CaptionedViews v;
    v.rgba = at::empty({8, 2, 32, 32, 4}, at::kByte);
    for (int64_t i = 0; i < 8; ++i) {
      const auto views = pictures(static_cast<size_t>(i % 4), static_cast<uint64_t>(100 + i), 2);
      for (int64_t k = 0; k < 2; ++k)
        std::copy(views[static_cast<size_t>(k)].pixels.begin(), views[static_cast<size_t>(k)].pixels.end(),
                  v.rgba[i][k].data_ptr<uint8_t>());
      v.captions.push_back(kCaptions[static_cast<size_t>(i % 4)]);
    }
    v.camera_to_world = at::eye(4).expand({8, 2, 4, 4}).contiguous();
    v.fov_deg = at::full({8, 2}, 45.0f);
    data::write_captioned_views(data::shard_path(folder() + "/data", 0), v);
    prior::JudgeTraining c;
    c.data = folder() + "/data";
    c.image_size = 16;
    c.patch_size = 8;
    c.vision_channels = c.text_channels = 16;
    c.vision_layers = c.text_layers = 1;
    c.vision_heads = c.text_heads = 2;
    c.shared_channels = 8;
    c.batch = 16;
    c.steps = 150;
    c.warmup = 5;
    c.learning_rate = 5e-3f;
    c.val_objects = 4;
    prior::train_judge(c, {folder() + "/run"});
  }
  static void TearDownTestSuite() { remove_tree(folder()); }

  static std::vector<io::Image8> pictures(size_t caption, uint64_t seed, int n_views) {
    Orbit orbit;
    orbit.n_views = n_views;
    orbit.resolution = 32;
    return truth_views(toybox::parse_caption(kCaptions[caption]), seed, orbit);
  }
  /// Objects of the caption that stands `shift` places behind.
  static SampleReport report(size_t shift) {
    SampleSettings s;
    s.captions = kCaptions;
    s.n_candidates = 3;
    s.n_truths = 3;
    return evaluate_samples(s, Judge(judge_folder(), c10::kCPU), [shift](size_t i) {
      auto views = pictures((i + shift) % 4, 5, 4);
      for (auto& view : views) view = before_colour(view, Vec3f::Constant(0.7f));
      return views;
    });
  }
};

TEST_F(Samples, RightObjectsScoreHigherThanOthers) {
  const auto right = report(0), wrong = report(1);
  EXPECT_DOUBLE_EQ(right.colour_accuracy.value, 1);
  EXPECT_EQ(right.colour_accuracy.n, 4);
  EXPECT_DOUBLE_EQ(wrong.colour_accuracy.value, 0);
  EXPECT_EQ(wrong.colour_accuracy.n, 8);  // each shows a stranger, too
  EXPECT_GT(right.clip_score.value, wrong.clip_score.value + 20);
  EXPECT_GE(right.r_precision.value, 0.75);
  EXPECT_LE(wrong.r_precision.value, 0.25);
  EXPECT_LE(right.r_precision.low, right.r_precision.value);
  for (const auto& r : right.captions) EXPECT_EQ(r.rank == 1, r.chosen == r.caption);
}

TEST_F(Samples, TheReportTellsFiguresAndCaptionsInOrder) {
  const auto report_of_truth = report(0);
  const auto json = report_json(report_of_truth);
  EXPECT_EQ(json.at("r_precision").at("n"), 4);
  EXPECT_EQ(json.at("r_precision").at("ci95").size(), 2u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(json.at("captions")[i].at("caption"), kCaptions[i]);
    EXPECT_EQ(json.at("captions")[i].at("colours").at("parts")[0].at("right"), true);
  }
  EXPECT_NE(report_markdown(report_of_truth).find("| colour accuracy | 100.0 % |"), std::string::npos);
}

TEST_F(Samples, TextOutsideOfTheWorldHasNoColours) {
  SampleSettings s;
  s.captions = {"the quick brown fox", "a red sphere"};
  s.n_candidates = 3;
  s.n_truths = 2;
  const auto out = evaluate_samples(s, Judge(judge_folder(), c10::kCPU), [](size_t) {
    auto views = pictures(0, 5, 2);
    for (auto& view : views) view = before_colour(view, Vec3f::Constant(0.7f));
    return views;
  });
  EXPECT_FALSE(out.captions[0].colours);
  EXPECT_TRUE(out.captions[1].colours);
  EXPECT_TRUE(report_json(out).at("captions")[0].at("colours").is_null());
}

TEST_F(Samples, JudgesThatAreNotWholeAreExplained) {
  const auto message = [](const std::string& judge) {
    try {
      Judge(judge, c10::kCPU);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_NE(message(folder() + "/nowhere").find("Train one with t3d prior train"), std::string::npos);
  const std::string copy = folder() + "/copy";
  fs::copy(judge_folder(), copy);
  EXPECT_EQ(message(copy), "");
  fs::remove(copy + "/merges.txt");
  EXPECT_NE(message(copy).find("has no merges.txt"), std::string::npos);
  fs::copy(judge_folder() + "/merges.txt", copy + "/merges.txt");
  fs::resize_file(copy + "/model.safetensors", fs::file_size(copy + "/model.safetensors") / 2);
  EXPECT_NE(message(copy).find("model.safetensors"), std::string::npos);
}

TEST(Candidates, AreDifferentTextsWithTheOwnOneFirst) {
  const auto captions = held_out_captions(5, 3);
  const Candidates c(captions, 100, 0), again(captions, 100, 0), other(captions, 100, 1);
  EXPECT_EQ(std::set<std::string>(c.texts().begin(), c.texts().end()).size(), c.texts().size());
  for (size_t i = 0; i < 5; ++i) {
    const auto& rows = c.rows_of(i);
    EXPECT_EQ(std::set<int64_t>(rows.begin(), rows.end()).size(), 100u);
    EXPECT_EQ(c.texts()[static_cast<size_t>(rows[0])], captions[i]);
    EXPECT_EQ(rows, again.rows_of(i));
    for (const int64_t row : rows)
      EXPECT_TRUE(toybox::is_held_out(toybox::parse_caption(c.texts()[static_cast<size_t>(row)])));
  }
  EXPECT_NE(c.rows_of(0), c.rows_of(1));
  EXPECT_NE(c.texts(), other.texts());
}

TEST(Captions, FilesWithoutCaptionsAndOtherBytesAreExplained) {
  const std::string path = ::testing::TempDir() + "captions.txt";
  const auto message = [&path](const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
    try {
      read_captions(path);
    } catch (const UserError& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_EQ(message("a red cube\r\n\na cat"), "");
  EXPECT_EQ(read_captions(path), (std::vector<std::string>{"a red cube", "a cat"}));
  EXPECT_NE(message("\n  \n").find("holds no caption"), std::string::npos);
  EXPECT_EQ(message("a cat\n\xff\xfe").rfind(path + ":2: ", 0), 0u);
  EXPECT_THROW(read_captions(path + ".nowhere"), SystemError);
}

}  // namespace
}  // namespace t3d::evaluate
