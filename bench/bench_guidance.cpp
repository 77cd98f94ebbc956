#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>

#include "bench/operation_count.h"
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
  vae.block_channels = {32, 64, 96};
  vae.layers_per_block = 1;
  vae.norm_groups = 8;
  ds::NoiseScheduleConfig schedule;
  schedule.zero_terminal_snr = true;

  return bench::random_model(unet, vae, schedule, ds::Prediction::Velocity, dtype, device);
}

/// Processor time of all threads so far.
double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// The least of some calls.
struct Times {
  double wall_s = 1e30, mean_s = 0, cpu_s = 1e30;
};
Times times_of(int repeats, c10::Device device, const std::function<void()>& body) {
  body();
  bench::wait_for(device);
  Times times;
  for (int i = 0; i < repeats; ++i) {
    const double before = now_s(), cpu_before = cpu_seconds();
    body();
    bench::wait_for(device);
    times.cpu_s = std::min(times.cpu_s, cpu_seconds() - cpu_before);
    const double s = now_s() - before;
    times.wall_s = std::min(times.wall_s, s);
    times.mean_s += s / repeats;
  }
  return times;
}

/// Times calls, each of so many operations (0: not counted), against the measured rate of matrix products. On the
/// CPU by processor time, which other programs on the machine do not disturb.
class Measurement {
 public:
  Measurement(int repeats, c10::Device device, at::ScalarType type) : repeats_(repeats), device_(device) {
    const auto options = at::TensorOptions().device(device).dtype(type);
    const auto a = at::randn({4096, 1280}, options), b = at::randn({1280, 1280}, options);
    rate_ = 2.0 * 4096 * 1280 * 1280 / seconds(times_of(5, device, [&] { at::linear(a, b); }));
    std::printf("measured matrix products %.1f GFLOP/s%s; the last column is the fraction of it\n", rate_ / 1e9,
                device.is_cpu() ? " a core" : "");
    std::printf("| what | best | mean | processor time | GFLOP | GFLOP/s%s | of the rate |\n",
                device.is_cpu() ? " a core" : "");
    std::printf("| --- | --- | --- | --- | --- | --- | --- |\n");
  }

  void operator()(const char* name, double operations, const std::function<void()>& body) const {
    const Times times = times_of(repeats_, device_, body);
    std::printf("| %s | %.1f ms | %.1f ms | %.1f ms |", name, times.wall_s * 1e3, times.mean_s * 1e3,
                times.cpu_s * 1e3);
    const double rate = operations / seconds(times);
    if (operations > 0)
      std::printf(" %.1f | %.1f | %.0f %% |\n", operations / 1e9, rate / 1e9, 100 * rate / rate_);
    else
      std::printf(" | | |\n");
    std::fflush(stdout);
  }

 private:
  double seconds(const Times& times) const { return device_.is_cpu() ? times.cpu_s : times.wall_s; }

  int repeats_;
  c10::Device device_;
  double rate_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  t3d::ops::tune_process(argv);
  std::string device_name = "cpu", dtype_name = "float32";
  int repeats = 5;
  int64_t side = 64;
  bool parts_only = false;
  int n_threads = at::get_num_threads();
  CLI::App app("Guidance steps with the toybox prior's shape");
  app.add_option("--device", device_name)->capture_default_str();
  app.add_option("--dtype", dtype_name)
      ->check(CLI::IsMember({"float32", "float16", "bfloat16"}))
      ->capture_default_str();
  app.add_option("--repeats", repeats)->capture_default_str();
  app.add_option("--size", side, "of the rendered pictures")->capture_default_str();
  app.add_option("--threads", n_threads, "threads")->check(CLI::Range(1, 1024));
  app.add_flag("--parts", parts_only, "what the steps are made of, without ASD and VSD");
  CLI11_PARSE(app, argc, argv);
  at::set_num_threads(n_threads);
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
  const Measurement measure(repeats, device, model->unet->compute_type);
  const auto& vae_config = model->vae->config();
  const double unet = bench::count_unet(model->unet->config(), 8, 32, 32, 4).total(),
               encoder = bench::count_encoder(vae_config, 4, 128).total(),
               decoder = bench::count_decoder(vae_config, 4, 128).total();
  MultiviewSds sds({}, model);
  measure("multi-view SDS, 4 views", unet + 2 * encoder, step(sds));
  MultiviewSds::Config by_image;
  by_image.recon_loss = by_image.use_img_loss = true;
  MultiviewSds pictures(by_image, model);
  measure("the same by pictures", unet + 2 * encoder + decoder, step(pictures));
  if (!parts_only) {
    MultiviewAsd asd({}, model);
    measure("multi-view ASD, 4 views", 0, step(asd));
    StableDiffusionVsd::Config config;
    config.n_view = 4;
    const auto score = LoraScore::make(*model, 1);
    StableDiffusionVsd vsd(config, model, {score, model->schedule, score->parameters(), false});
    measure("multi-view VSD, 4 views", 0, step(vsd));
  }

  const auto latents = at::randn({8, 4, 32, 32}, options);
  diffusion::Condition condition;
  condition.text = text[0].expand({8, -1, -1});
  condition.camera = ds::orbit_cameras(4, 15, 90).to(device).repeat({2, 1});
  condition.n_views = 4;
  measure("UNet, batch 8", unet, [&] {
    const c10::NoGradGuard no_grad;
    model->denoiser->predict(latents, at::full({8}, 500, options.dtype(at::kLong)), condition);
  });
  const auto images = at::rand({4, 3, 128, 128}, options).requires_grad_();
  const auto noise = at::randn({4, 4, 32, 32}, options);
  measure("encoder, 4 pictures", encoder, [&] {
    const c10::NoGradGuard no_grad;
    model->vae->to_latents(images, noise);
  });
  measure("encoder and gradient of the pictures", 2 * encoder, [&] {
    images.mutable_grad() = at::Tensor();
    model->vae->to_latents(images, noise).sum().backward();
  });
  measure("decoder, 4 pictures", decoder, [&] {
    const c10::NoGradGuard no_grad;
    model->vae->from_latents(latents.slice(0, 0, 4));
  });
  std::printf("peak memory of the process %s\n", human_bytes(static_cast<double>(peak_rss_bytes())).c_str());
  return 0;
}
