#include "t3d/prior/unet_trainer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "t3d/core/error.h"
#include "t3d/core/remove_tree.h"
#include "t3d/data/captioned_views.h"
#include "t3d/diffusion/tokenizer.h"
#include "t3d/io/image.h"
#include "t3d/io/safetensors.h"
#include "t3d/prior/autoencoder_trainer.h"
#include "t3d/prior/text_tokens.h"
#include "t3d/train/checkpoint.h"

namespace t3d::prior {
namespace {

struct UNetTrainer : ::testing::Test {
  std::string folder = ::testing::TempDir() + "unet_trainer";

  void SetUp() override {
    remove_tree(folder);
    std::filesystem::create_directories(folder + "/data");
    data::CaptionedViews v;  // a red and a blue thing, each the same from both sides
    v.rgba = at::full({2, 2, 16, 16, 4}, 255, at::kByte);
    v.rgba[0].slice(3, 1, 3).zero_();
    v.rgba[1].slice(3, 0, 2).zero_();
    v.camera_to_world = at::eye(4).expand({2, 2, 4, 4}).contiguous();
    v.camera_to_world.select(2, 2).select(2, 3).fill_(3);
    v.fov_deg = at::full({2, 2}, 40.0f);
    v.captions = {"a red thing\nthe thing in red", "a blue thing"};
    data::write_captioned_views(data::shard_path(folder + "/data", 0), v);
    AutoencoderTraining vae;
    vae.data = folder + "/data";
    vae.block_channels = {8, 8};
    vae.norm_groups = 4;
    vae.batch = 4;
    vae.steps = 30;
    train_autoencoder(vae, run("vae"));
  }
  void TearDown() override { remove_tree(folder); }

  UNetTraining config(int steps) const {
    UNetTraining c;
    c.data = c.val_data = folder + "/data";
    c.vae = folder + "/vae/vae";
    c.block_channels = {8, 16};
    c.n_heads = {1, 2};
    c.attention = {0, 1};
    c.norm_groups = 4;
    c.text_channels = 8;
    c.text_layers = c.text_heads = 1;
    c.n_views = 2;
    c.batch = 8;
    c.steps = steps;
    c.warmup = 5;
    c.learning_rate = 3e-3f;
    c.val_objects = 8;
    return c;
  }
  TrainingRun run(const std::string& name, bool resume = false) const {
    TrainingRun r;
    r.folder = folder + "/" + name;
    r.resume = resume;
    return r;
  }
};

TEST_F(UNetTrainer, LearnsAndLeavesAWholeModel) {
  auto c = config(1);
  const double before = train_unet(c, run("short")).val_loss;
  c = config(200);
  c.captions = {"a red thing", "a blue thing"};
  const auto report = train_unet(c, run("long"));
  EXPECT_TRUE(report.finished);
  EXPECT_LT(report.val_loss, 0.7 * before);
  const auto sheet = io::read_image(folder + "/long/samples.png");
  EXPECT_EQ(sheet.width, 2 * 16);
  EXPECT_EQ(sheet.height, 2 * 16);
}

TEST_F(UNetTrainer, ResumedRunHasTheSameWeights) {
  train_unet(config(12), run("whole"));
  auto stopped = run("parts");
  stopped.time_limit = 1e-9;  // leaves before the first step
  EXPECT_FALSE(train_unet(config(12), stopped).finished);
  train_unet(config(12), run("parts", true));
  const auto tensors = [this](const std::string& name) {
    const auto path = train::find_checkpoint(folder + "/" + name).path;
    return train::load_checkpoint(path).tensors;
  };
  const auto whole = tensors("whole");
  const auto parts = tensors("parts");
  ASSERT_EQ(whole.size(), parts.size());
  for (const auto& [name, tensor] : whole) EXPECT_TRUE(at::equal(tensor, parts.at(name))) << name;
}

TEST_F(UNetTrainer, GoesOnFromAnotherModel) {
  train_unet(config(5), run("first"));
  auto c = config(1);
  c.init = folder + "/first";
  c.learning_rate = 1e-12f;
  train_unet(c, run("second"));
  const io::SafetensorsFile a(folder + "/first/unet/diffusion_pytorch_model.safetensors"),
      b(folder + "/second/unet/diffusion_pytorch_model.safetensors");
  for (const std::string& name : a.names())
    EXPECT_TRUE(at::allclose(a.copy(name).to(at::kFloat), b.copy(name).to(at::kFloat), 1e-3, 1e-5)) << name;
}

TEST_F(UNetTrainer, RefusesShapesThatDoNotFit) {
  auto c = config(1);
  c.n_heads = {1};
  EXPECT_THROW(train_unet(c, run("heads")), UserError);
  c = config(1);
  c.batch = 7;
  EXPECT_THROW(train_unet(c, run("batch")), UserError);
  c = config(1);
  c.n_views = 3;
  c.batch = 9;
  EXPECT_THROW(train_unet(c, run("views")), UserError);
}

TEST(TextTokens, EveryWordOfTheCaptionsIsOneToken) {
  const std::string folder = ::testing::TempDir() + "text_tokens";
  const std::vector<std::string> captions{"a red mushroom with a white stem\nA white-stemmed mushroom, red",
                                          "an airplane on a chair"};
  write_tokenizer(folder, captions, 16, 10000);
  const auto tokenizer = diffusion::ClipTokenizer::from_folder(folder);
  EXPECT_EQ(tokenizer.max_length(), 16);
  EXPECT_EQ(tokenizer.encode("a red mushroom with a white stem").size(), 7u + 2u);
  EXPECT_EQ(tokenizer.encode("AN AIRPLANE ON A CHAIR").size(), 5u + 2u);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("a zebra on a chair")), "a zebra on a chair");
  const auto table = tokenize(folder, captions);
  EXPECT_EQ(table.first_row, (std::vector<int64_t>{0, 2, 3}));
  EXPECT_EQ(table.ids.size(0), 4);
  EXPECT_EQ(table.ids[table.empty_row()][1].item<int64_t>(), tokenizer.end_id());
}

}  // namespace
}  // namespace t3d::prior
