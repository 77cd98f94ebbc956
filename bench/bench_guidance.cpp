#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>

#include "bench/random_model.h"
#include "bench/tensor_rates.h"
#include "t3d/core/clock.h"
#include "t3d/core/memory_usage.h"
#include "t3d/core/text.h"
#include "t3d/diffusion/autoencoder.h"
#include "t3d/diffusion/unet.h"
#include "t3d/diffusion/view_cameras.h"
#include "t3d/guidance/multiview_asd.h"
#include "t3d/guidance/multiview_sds.h"
#include "t3d/guidance/stable_diffusion_vsd.h"
#include "t3d/ops/startup.h"

// Guidance steps with the toybox prior's shape and random weights, and what they are made of: the UNet
// without gradients, the autoencoder with them.
namespace {

using namespace t3d;
using namespace t3d::guidance;
namespace ds = t3d::diffusion;

std::shared_ptr<const Model> toybox_shape(c10::Device device, at::ScalarType dtype) {
  ds::UNetConfig unet;
  unet.sample_size = 32;
  unet.block_channels = {64, 160, 224};
  unet.n_heads = {2, 5, 7};
  unet.has_attention = {false, true, true};
  unet.transformer_depth = {1, 1, 1};
  unet.layers_per_block = 1;
  unet.text_channels = 160;
  unet.linear_projection = true;
  unet.camera_inputs = 16;
  ds::AutoencoderConfig vae;
  vae.block_channels = {32, 64, 128};
  vae.layers_per_block = 1;
  vae.norm_groups = 8;
  ds::NoiseScheduleConfig schedule;
  schedule.zero_terminal_snr = true;

  return bench::random_model(unet, vae, schedule, ds::Prediction::Velocity, dtype, device);
}

void measure(const char* name, int repeats, c10::Device device, const std::function<void()>& body) {
  body();
  bench::wait_for(device);
  double best = 1e30, sum = 0;
  for (int i = 0; i < repeats; ++i) {
    const double before = now_s();
    body();
    bench::wait_for(device);
    const double s = now_s() - before;
    best = std::min(best, s);
    sum += s;
  }
  std::printf("%-34s best %8.1f ms   mean %8.1f ms\n", name, best * 1e3, sum / repeats * 1e3);
}

}  // namespace

int main(int argc, char** argv) {
  t3d::ops::tune_process(argv);
  std::string device_name = "cpu", dtype_name = "float32";
  int repeats = 5;
  int64_t side = 64;
  CLI::App app("Guidance steps with the toybox prior's shape");
  app.add_option("--device", device_name)->capture_default_str();
  app.add_option("--dtype", dtype_name)
      ->check(CLI::IsMember({"float32", "float16", "bfloat16"}))
      ->capture_default_str();
  app.add_option("--repeats", repeats)->capture_default_str();
  app.add_option("--size", side, "of the rendered pictures")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const c10::Device device(device_name);
  const auto dtype = dtype_name == "float16"    ? at::kHalf
                     : dtype_name == "bfloat16" ? at::kBFloat16
                                                : at::kFloat;
  const auto options = at::TensorOptions().device(device);
  const auto model = toybox_shape(device, dtype);

  const auto text = at::randn({6, 32, 160}, options);
  const PromptEmbeddings prompt(text[0], text[1], text.slice(0, 2));
  Views views;
  views.rgb = at::rand({4, side, side, 3}, options).requires_grad_();
  views.camera_to_world = ds::orbit_cameras(4, 15, 90).reshape({4, 4, 4});
  views.angles = {at::full({4}, 15.0f), at::arange(4).to(at::kFloat) * 90, {}};
  Rng rng(1);
  const auto step = [&](Guidance& guidance) {
    return [&views, &prompt, &rng, &guidance] {
      at::Tensor sum;
      for (const auto& [name, loss] : guidance(views, prompt, rng).losses)
        sum = sum.defined() ? sum + loss : loss;
      sum.backward();
    };
  };
  MultiviewSds sds({}, model);
  MultiviewAsd asd({}, model);
  measure("multi-view SDS, 4 views", repeats, device, step(sds));
  measure("multi-view ASD, 4 views", repeats, device, step(asd));
  StableDiffusionVsd::Config config;
  config.n_view = 4;
  const auto score = LoraScore::make(*model, 1);
  StableDiffusionVsd vsd(config, model, {score, model->schedule, score->parameters(), false});
  measure("multi-view VSD, 4 views", repeats, device, step(vsd));

  const auto latents = at::randn({8, 4, 32, 32}, options);
  diffusion::Condition condition;
  condition.text = text[0].expand({8, -1, -1});
  condition.camera = ds::orbit_cameras(4, 15, 90).to(device).repeat({2, 1});
  condition.n_views = 4;
  measure("  UNet, batch 8", repeats, device, [&] {
    const c10::NoGradGuard no_grad;
    model->denoiser->predict(latents, at::full({8}, 500, options.dtype(at::kLong)), condition);
  });
  const auto images = at::rand({4, 3, 128, 128}, options).requires_grad_();
  const auto noise = at::randn({4, 4, 32, 32}, options);
  measure("  autoencoder, 4 pictures, forward", repeats, device, [&] {
    const c10::NoGradGuard no_grad;
    model->vae->to_latents(images, noise);
  });
  measure("  and backward", repeats, device, [&] { model->vae->to_latents(images, noise).sum().backward(); });
  std::printf("peak memory of the process %s\n", human_bytes(static_cast<double>(peak_rss_bytes())).c_str());
  return 0;
}
