#include "t3d/prior/autoencoder_trainer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "t3d/core/error.h"
#include "t3d/core/remove_tree.h"
#include "t3d/data/captioned_views.h"
#include "t3d/diffusion/autoencoder.h"
#include "t3d/io/safetensors.h"
#include "t3d/train/checkpoint.h"

namespace t3d::prior {
namespace {

struct AutoencoderTrainer : ::testing::Test {
  std::string folder = ::testing::TempDir() + "autoencoder_trainer";

  void SetUp() override {
    remove_tree(folder);
    std::filesystem::create_directories(folder + "/data");
    data::CaptionedViews v;  // discs of one colour each
    v.rgba = at::zeros({8, 2, 16, 16, 4}, at::kByte);
    const auto side = at::linspace(-1, 1, 16);
    const auto disc = (side.view({16, 1}).square() + side.view({1, 16}).square()) < 0.6;
    for (int64_t i = 0; i < 8; ++i)
      for (int64_t k = 0; k < 2; ++k) {
        auto picture = v.rgba[i][k];
        for (int64_t c = 0; c < 3; ++c)
          picture.select(2, c).fill_(static_cast<int64_t>(40 + 25 * ((i + c * 3) % 8)));
        picture.select(2, 3).copy_(disc.to(at::kByte) * 255);
      }
    v.camera_to_world = at::eye(4).expand({8, 2, 4, 4}).contiguous();
    v.fov_deg = at::full({8, 2}, 40.0f);
    v.captions.assign(8, "a disc");
    data::write_captioned_views(data::shard_path(folder + "/data", 0), v);
  }
  void TearDown() override { remove_tree(folder); }

  AutoencoderTraining config(int steps) const {
    AutoencoderTraining c;
    c.data = folder + "/data";
    c.block_channels = {8, 16};
    c.batch = 4;
    c.steps = steps;
    c.warmup = 5;
    c.norm_groups = 4;
    c.checkpoint_every = 1000;
    return c;
  }
  TrainingRun run(const std::string& name, bool resume = false) const {
    TrainingRun r;
    r.folder = folder + "/" + name;
    r.resume = resume;
    return r;
  }
};

TEST_F(AutoencoderTrainer, LearnsAndLeavesAModel) {
  const auto report = train_autoencoder(config(300), run("whole"));
  EXPECT_TRUE(report.finished);
  EXPECT_GT(report.psnr, 20);
  const io::SafetensorsFile file(folder + "/whole/vae/diffusion_pytorch_model.safetensors");
  EXPECT_EQ(file.tensor("encoder.conv_in.weight").scalar_type(), at::kHalf);
  const auto c = diffusion::read_autoencoder_config(folder + "/whole/vae/config.json");
  EXPECT_NE(c.scaling_factor, 1);
  EXPECT_TRUE(std::filesystem::exists(folder + "/whole/reconstructions.png"));
}

TEST_F(AutoencoderTrainer, ResumesToTheBit) {
  auto c = config(12);
  c.checkpoint_every = 5;
  train_autoencoder(c, run("whole"));
  train_autoencoder(c, run("parts"));
  remove_tree(train::find_checkpoint(folder + "/parts/ckpts").path);  // as if killed after step 10
  EXPECT_TRUE(train_autoencoder(c, run("parts", true)).finished);
  const auto a = train::load_checkpoint(train::find_checkpoint(folder + "/whole/ckpts").path);
  const auto b = train::load_checkpoint(train::find_checkpoint(folder + "/parts/ckpts").path);
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (const auto& [name, tensor] : a.tensors) EXPECT_TRUE(tensor.equal(b.tensors.at(name))) << name;
}

TEST_F(AutoencoderTrainer, RefusesAnotherConfiguration) {
  auto limited = run("run");
  limited.time_limit = 1e-9;
  train_autoencoder(config(12), limited);
  auto other = config(12);
  other.batch += 1;
  EXPECT_THROW(train_autoencoder(other, run("run", true)), UserError);
  EXPECT_EQ(train_autoencoder(config(13), run("run", true)).steps, 13);  // longer is the same run
  auto wrong = config(12);
  wrong.block_channels = {7};
  EXPECT_THROW(train_autoencoder(wrong, run("other")), UserError);
}

}  // namespace
}  // namespace t3d::prior
