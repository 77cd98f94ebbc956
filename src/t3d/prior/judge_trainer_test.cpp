#include "t3d/prior/judge_trainer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "t3d/core/error.h"
#include "t3d/core/remove_tree.h"
#include "t3d/data/captioned_views.h"
#include "t3d/diffusion/clip_image.h"
#include "t3d/diffusion/clip_model.h"
#include "t3d/diffusion/tokenizer.h"
#include "t3d/io/image.h"
#include "t3d/prior/augmentation.h"
#include "t3d/prior/view_set.h"
#include "t3d/train/checkpoint.h"

namespace t3d::prior {
namespace {

const std::vector<std::string> kColours{"red", "green", "blue", "yellow"};
const float kRgb[4][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {1, 1, 0}};

struct JudgeTrainer : ::testing::Test {
  std::string folder = ::testing::TempDir() + "judge_trainer";

  /// Squares of four colours, twice each.
  void SetUp() override {
    remove_tree(folder);
    std::filesystem::create_directories(folder + "/data");
    data::CaptionedViews v;
    v.rgba = at::zeros({8, 2, 16, 16, 4}, at::kByte);
    for (int i = 0; i < 8; ++i) {
      auto square = v.rgba[i].slice(1, 3, 13).slice(2, 3, 13);
      square.select(3, 3).fill_(255);
      for (int k = 0; k < 3; ++k) square.select(3, k).fill_(255 * kRgb[i % 4][k]);
      v.captions.push_back("a " + kColours[i % 4] + " square\nthe square in " + kColours[i % 4]);
    }
    v.camera_to_world = at::eye(4).expand({8, 2, 4, 4}).contiguous();
    v.fov_deg = at::full({8, 2}, 40.0f);
    data::write_captioned_views(data::shard_path(folder + "/data", 0), v);
  }
  void TearDown() override { remove_tree(folder); }

  JudgeTraining config(int steps) const {
    JudgeTraining c;
    c.data = folder + "/data";
    c.image_size = 12;  // other than the pictures': they are resized
    c.patch_size = 4;
    c.vision_channels = c.text_channels = 16;
    c.vision_layers = c.text_layers = 1;
    c.vision_heads = c.text_heads = 2;
    c.shared_channels = 8;
    c.text_length = 8;
    c.batch = 16;
    c.steps = steps;
    c.warmup = 5;
    c.learning_rate = 5e-3f;
    c.val_objects = 4;
    return c;
  }
  TrainingRun run(const std::string& name, bool resume = false) const {
    TrainingRun r;
    r.folder = folder + "/" + name;
    r.resume = resume;
    return r;
  }
};

TEST_F(JudgeTrainer, LearnsWhichCaptionAPictureShows) {
  const auto report = train_judge(config(200), run("run"));
  EXPECT_TRUE(report.finished);
  EXPECT_EQ(report.n_candidates, 4);
  EXPECT_DOUBLE_EQ(report.r_at_1, 1);
  EXPECT_DOUBLE_EQ(report.r_at_1_objects, 1);
  const auto sheet = io::read_image(folder + "/run/retrieval.png");
  EXPECT_EQ(sheet.width, 5 * 12);  // the picture and four captions
  EXPECT_EQ(sheet.height, 4 * 12);
}

TEST_F(JudgeTrainer, LeavesAClipModelThatReadsImagesFromDisk) {
  train_judge(config(200), run("run"));
  const std::string judge = folder + "/run/judge";
  const auto model = diffusion::load_clip_model(judge, at::kFloat, c10::kCPU);
  const auto images = diffusion::ClipImageConfig::from_file(judge + "/preprocessor_config.json");
  const auto tokenizer = diffusion::ClipTokenizer::from_folder(judge);
  std::vector<at::Tensor> pixels, ids;
  for (int i = 0; i < 4; ++i) {
    io::ImageF image(32, 32, 3);
    for (int y = 0; y < 32; ++y)
      for (int x = 0; x < 32; ++x) {
        const bool inside = std::min(x, y) >= 6 && std::max(x, y) < 26;
        for (int k = 0; k < 3; ++k) image.at(x, y)[k] = inside ? kRgb[i][k] : 0.7f;
      }
    pixels.push_back(diffusion::clip_pixels(io::to_8bit(image), images));
    ids.push_back(at::tensor(tokenizer.encode_padded("a " + kColours[i] + " square").ids));
  }
  const auto logits =
      model.logits_per_image(model.image(at::stack(pixels)).features, model.text_features(at::stack(ids)));
  EXPECT_TRUE(at::equal(logits.argmax(1), at::arange(4))) << logits;
  EXPECT_LE(logits.abs().max().item<float>(), 100.1f);
}

TEST_F(JudgeTrainer, ResumedRunHasTheSameWeights) {
  train_judge(config(12), run("whole"));
  auto stopped = run("parts");
  stopped.time_limit = 1e-9;  // leaves before the first step
  EXPECT_FALSE(train_judge(config(12), stopped).finished);
  train_judge(config(12), run("parts", true));
  const auto tensors = [this](const std::string& name) {
    const auto path = train::find_checkpoint(folder + "/" + name).path;
    return train::load_checkpoint(path).tensors;
  };
  const auto whole = tensors("whole");
  const auto parts = tensors("parts");
  ASSERT_EQ(whole.size(), parts.size());
  for (const auto& [name, tensor] : whole) EXPECT_TRUE(at::equal(tensor, parts.at(name))) << name;
}

TEST_F(JudgeTrainer, RefusesShapesThatDoNotFit) {
  auto c = config(1);
  c.patch_size = 5;
  EXPECT_THROW(train_judge(c, run("patch")), UserError);
  c = config(1);
  c.vision_heads = 3;
  EXPECT_THROW(train_judge(c, run("heads")), UserError);
  c = config(1);
  c.batch = 1;
  EXPECT_THROW(train_judge(c, run("batch")), UserError);
}

TEST(Augmentation, KeepsTheBackgroundAndChangesEachPictureItsOwnWay) {
  at::manual_seed(1);
  const auto grey = at::tensor({0.4f, 0.9f, 0.9f});
  auto pictures = (grey * 2 - 1).view({3, 1, 1, 1}).expand({3, 3, 32, 32}).clone();
  EXPECT_TRUE(at::equal(augment(pictures, grey, 0), pictures));
  const auto empty = augment(pictures, grey, 1);
  // Only noise remains of what has no object: its mean is the background's.
  EXPECT_TRUE(at::allclose(empty.mean({1, 2, 3}), grey * 2 - 1, 0, 0.02));
  pictures.slice(2, 8, 24).slice(3, 8, 24).fill_(-1);
  const auto changed = augment(pictures, grey, 1);
  EXPECT_GT((changed[1] - changed[2]).abs().max().item<float>(), 0.1f);
  EXPECT_LE(changed.abs().max().item<float>(), 1);
  const auto dark = changed.lt(-0.5).to(at::kFloat).mean({1, 2, 3});  // the square's share of the picture
  EXPECT_TRUE(at::allclose(dark.slice(0, 1), at::full({2}, 0.25), 0, 0.08)) << dark;
}

TEST(ViewSet, ResizesColoursByTheirAlpha) {
  const std::string folder = ::testing::TempDir() + "view_set_resize";
  remove_tree(folder);
  std::filesystem::create_directories(folder);
  data::CaptionedViews v;
  v.rgba = at::zeros({1, 1, 16, 16, 4}, at::kByte);  // transparent black around opaque red
  v.rgba.slice(2, 4, 11).slice(3, 4, 11).copy_(at::tensor({200, 20, 20, 255}).to(at::kByte));
  v.camera_to_world = at::eye(4).view({1, 1, 4, 4});
  v.fov_deg = at::full({1, 1}, 40.0f);
  v.captions = {"a red square"};
  data::write_captioned_views(data::shard_path(folder, 0), v);
  const ViewSet large(folder, c10::kCPU), small(folder, c10::kCPU, 8);
  EXPECT_EQ(small.resolution(), 8);
  const auto index = at::zeros({1}, at::kLong);
  const auto grey = at::tensor({0.5f});
  const auto a = large.pictures(index, grey), b = small.pictures(index, grey);
  EXPECT_TRUE(at::allclose(a.mean({2, 3}), b.mean({2, 3}), 0, 0.02));
  EXPECT_LT(b.slice(1, 1, 2).max().item<float>(), 0.02f);  // no darker or brighter rim
  EXPECT_GT(b.slice(1, 0, 1).min().item<float>(), -0.02f);
}

}  // namespace
}  // namespace t3d::prior
