#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <thread>

#include "bench/operation_count.h"
#include "bench/random_model.h"
#include "bench/tensor_rates.h"
#include "t3d/core/memory_usage.h"
#include "t3d/diffusion/unet.h"
#include "t3d/diffusion/view_cameras.h"
#include "t3d/guidance/stable_diffusion_sds.h"
#include "t3d/ops/device_memory.h"
#include "t3d/ops/startup.h"

// The model's work in one step of score distillation sampling: a picture scaled to what the model was trained
// at and encoded, the UNet with text and without, and the gradient back through the encoder. Random weights
// of a published shape; time, floating-point operations, their share of what this machine reaches, peak
// memory.
namespace {

using namespace t3d;
namespace ds = t3d::diffusion;

void print_row(const char* name, double seconds, double operations, double matrix_rate) {
  std::printf("| %-36s | %9.1f ms | %7.2f TFLOP | %8.2f TFLOP/s | %5.1f %% |\n", name, seconds * 1e3,
              operations / 1e12, operations / seconds / 1e12, 100 * operations / seconds / matrix_rate);
}

}  // namespace

int main(int argc, char** argv) {
  ops::tune_process(argv);
  std::string shape = "sd21", dtype = "fp32", device_name = "cpu";
  int64_t side = 64;
  int repeats = 3, n_threads = static_cast<int>(std::thread::hardware_concurrency());
  CLI::App app("Times the model's work in one step of score distillation sampling, with random weights.");
  app.add_option("--shape", shape, "sd15 or sd21 (base)")->check(CLI::IsMember({"sd15", "sd21"}));
  app.add_option("--size", side, "height and width of the rendered picture")->check(CLI::Range(8, 1024));
  app.add_option("--dtype", dtype, "fp32, fp16 or bf16")->check(CLI::IsMember({"fp32", "fp16", "bf16"}));
  app.add_option("--device", device_name, "cpu or cuda");
  app.add_option("--repeats", repeats, "timed steps after those that are not")->check(CLI::Range(1, 1000));
  app.add_option("--threads", n_threads, "threads")->check(CLI::Range(1, 1024));
  CLI11_PARSE(app, argc, argv);
  at::set_num_threads(n_threads);

  const c10::Device device(device_name);
  const at::ScalarType type = dtype == "fp16" ? at::kHalf : dtype == "bf16" ? at::kBFloat16 : at::kFloat;
  const auto options = at::TensorOptions().device(device);
  const auto config = shape == "sd15" ? ds::sd15_unet_config() : ds::sd21_unet_config();
  const auto model = bench::random_model(config, {}, {}, ds::Prediction::Epsilon, type, device);
  const int64_t latent = model->latent_height, pixels = model->image_height();

  const auto text = at::randn({6, 77, config.text_channels}, options);
  const guidance::PromptEmbeddings prompt(text[0], text[1], text.slice(0, 2));
  guidance::Views views;
  views.rgb = at::rand({1, side, side, 3}, options).requires_grad_();
  views.camera_to_world = ds::orbit_cameras(1, 15, 0).reshape({1, 4, 4});
  views.angles = {at::full({1}, 15.0f), at::zeros({1}), {}};
  guidance::StableDiffusionSds sds({}, model);
  Rng rng(1);
  const auto step = [&] {
    views.rgb.mutable_grad() = at::Tensor();
    sds(views, prompt, rng).losses.at("loss_sds").backward();
  };
  // The first calls record the UNet on CUDA.
  for (int i = 0; !device.is_cpu() && i < 4; ++i) step();
  const double whole = bench::best_seconds(repeats, device, step);
  const size_t device_peak = ops::peak_device_bytes(device), peak = peak_rss_bytes();

  const auto latents = at::randn({2, 4, latent, latent}, options);
  const auto t = at::full({2}, 500, options.dtype(at::kLong));
  const ds::Condition condition{text.slice(0, 0, 2), {}, {}, 1};
  const double unet_s = bench::best_seconds(repeats, device, [&] {
    const c10::NoGradGuard no_grad;
    model->denoiser->predict(latents, t, condition);
  });
  const auto image = at::rand({1, 3, pixels, pixels}, options).requires_grad_();
  const auto noise = at::randn({1, 4, latent, latent}, options);
  const double encoder_s = bench::best_seconds(repeats, device, [&] {
    image.mutable_grad() = at::Tensor();
    model->vae->to_latents(image, noise).sum().backward();
  });

  const double unet_ops = bench::count_unet(config, 2, static_cast<double>(latent), 77, 1).total();
  const double encoder_ops =
      2 * bench::count_encoder(model->vae->config(), 1, static_cast<double>(pixels)).total();
  const double rate = bench::measured_rates(device, model->unet->compute_type, 2, latent).matrix;
  std::printf("%s, %s on %s: %lld x %lld pixels encoded at %lld x %lld, %d threads\n", shape.c_str(),
              dtype.c_str(), device_name.c_str(), static_cast<long long>(side), static_cast<long long>(side),
              static_cast<long long>(pixels), static_cast<long long>(pixels), n_threads);
  std::printf("measured matrix products: %.2f TFLOP/s; the last column is the share of it\n", rate / 1e12);
  print_row("whole step", whole, unet_ops + encoder_ops, rate);
  print_row("UNet, batch 2", unet_s, unet_ops, rate);
  print_row("encoder and gradient of the picture", encoder_s, encoder_ops, rate);
  std::printf("peak resident memory %.2f GB\n", static_cast<double>(peak) / 1e9);
  if (device_peak > 0) std::printf("peak device memory %.2f GB\n", static_cast<double>(device_peak) / 1e9);
  return 0;
}
