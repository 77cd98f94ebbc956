#include "t3d/diffusion/pipeline.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "t3d/core/error.h"
#include "t3d/diffusion/analytic_denoiser.h"
#include "t3d/diffusion/view_cameras.h"
#include "t3d/io/safetensors.h"
#include "tests/support/golden_options.h"

namespace t3d::diffusion {
namespace {

std::string golden(const std::string& path) {
  return t3d::testing::golden_folder() + "/" + path;
}

/// Two pictures, all light and all dark; labels pick one.
TextToImage toy() {
  const auto means = at::stack({at::full({4, 2, 2}, 0.8f), at::full({4, 2, 2}, -0.8f)});
  auto denoiser = std::make_shared<AnalyticDenoiser>(
      AnalyticDenoiser::Mixture{means, at::tensor({0.05f, 0.05f}), at::tensor({0.5f, 0.5f})},
      NoiseSchedule());
  return TextToImage(denoiser, SchedulerConfig(), [](const at::Tensor& x) { return x.slice(1, 0, 3); });
}

SampleOptions toy_options() {
  SampleOptions options;
  options.latent_height = options.latent_width = 2;
  options.n_steps = 25;
  return options;
}

TEST(TextToImage, FollowsTheConditionAndRepeatsItself) {
  const auto text = at::zeros({1, 77, 8});
  auto options = toy_options();
  for (const int64_t label : {0, 1}) {
    options.class_labels = at::full({1}, label, at::kLong);
    int64_t n_told = 0;
    const auto picture = toy()(text, text, options, [&](int64_t, int64_t) { ++n_told; });
    EXPECT_EQ(n_told, 25);
    EXPECT_NEAR(picture.mean().item<float>(), label == 0 ? 0.9 : 0.1, 0.05);
    EXPECT_TRUE(picture.equal(toy()(text, text, options)));
  }
}

TEST(TextToImage, SeedsDiffer) {
  const auto text = at::zeros({1, 77, 8});
  auto options = toy_options();
  const auto first = toy()(text, text, options);
  options.seed = 1;
  EXPECT_FALSE(first.equal(toy()(text, text, options)));
}

TEST(GoldenPipeline, TinyModelSamplesWithEverySampler) {
  T3D_NEED_FILE(golden("sd2-tiny/model_index.json"));
  const std::string path = golden("sd2-tiny");
  const auto text = embed_prompts(path, {"a pineapple", ""}, at::kFloat, c10::kCPU);
  EXPECT_EQ(text.size(0), 2);
  SampleOptions options;
  options.n_steps = 3;
  options.guidance = 2;
  options.latent_height = 8;
  options.latent_width = 12;
  for (const char* sampler : {"", "ddpm", "ddim", "euler", "dpm", "pndm"}) {
    SCOPED_TRACE(sampler);
    const auto model = load_model(path, sampler, at::kFloat, c10::kCPU);
    const TextToImage pipeline(model.denoiser, model.scheduler, model.decode);
    const auto picture = pipeline(text.slice(0, 0, 1), text.slice(0, 1, 2), options);
    EXPECT_EQ(picture.sizes(), (std::vector<int64_t>{1, 3, 8 * model.reduction, 12 * model.reduction}));
  }
}

TEST(GoldenViewCameras, AreMvdreams) {
  const std::string file = "mvdream-tiny/cases_camera.safetensors";
  T3D_NEED_CASES(file);
  const io::SafetensorsFile cases(golden(file));
  const t3d::testing::GoldenOptions options(file);
  int n_seen = 0;
  for (const auto& [name, entry] : options.json().items()) {
    // Cameras of Blender's axes are the ones that its models take.
    if (name.rfind("get_camera", 0) != 0 || !entry.at("blender_coord").get<bool>()) continue;
    const auto of = options.block(name);
    const auto made = orbit_cameras(of.whole("num_frames"), of.number("elevation"),
                                    of.number("azimuth_start"), of.number("azimuth_span"));
    const double error = (made - cases.tensor(name)).abs().max().item<double>();
    t3d::testing::record_golden("mvdream-tiny/" + name, error);
    EXPECT_LE(error, 1e-6) << name;
    ++n_seen;
  }
  EXPECT_GT(n_seen, 0);
}

}  // namespace
}  // namespace t3d::diffusion
