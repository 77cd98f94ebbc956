#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "bench/operation_count.h"
#include "bench/tensor_rates.h"
#include "t3d/core/memory_usage.h"
#include "t3d/diffusion/unet_denoiser.h"
#include "t3d/ops/device_memory.h"
#include "t3d/ops/startup.h"

// One call of a UNet of a published shape with random weights: time, floating-point operations, the share of
// what convolutions and matrix products of the same type reach on this machine, and peak memory.
using namespace t3d;
using namespace t3d::diffusion;

int main(int argc, char** argv) {
  t3d::ops::tune_process(argv);
  std::string shape = "sd21", dtype = "fp32", device_name = "cpu", peer;
  int64_t batch = 2, side = 64, tokens = 77, views = 1;
  int repeats = 3, n_threads = static_cast<int>(std::thread::hardware_concurrency());
  CLI::App app("Times one call of a UNet of a published shape with random weights.");
  app.add_option("--shape", shape, "sd15, sd21 or mvdream")
      ->check(CLI::IsMember({"sd15", "sd21", "mvdream"}));
  app.add_option("--batch", batch, "items")->check(CLI::Range(1, 64));
  app.add_option("--size", side, "latent height and width")->check(CLI::Range(8, 256));
  app.add_option("--tokens", tokens, "text tokens")->check(CLI::Range(1, 1024));
  app.add_option("--views", views, "views per object")->check(CLI::Range(1, 16));
  app.add_option("--dtype", dtype, "fp32, fp16 or bf16")->check(CLI::IsMember({"fp32", "fp16", "bf16"}));
  app.add_option("--device", device_name, "cpu or cuda");
  app.add_option("--repeats", repeats, "timed calls after one that is not")->check(CLI::Range(1, 1000));
  app.add_option("--threads", n_threads, "threads")->check(CLI::Range(1, 1024));
  app.add_option("--peer", peer, "command to run afterwards on the same machine, its output printed");
  CLI11_PARSE(app, argc, argv);
  at::set_num_threads(n_threads);

  const c10::Device device(device_name);
  const at::ScalarType type = dtype == "fp16" ? at::kHalf : dtype == "bf16" ? at::kBFloat16 : at::kFloat;
  const UNetConfig config = shape == "sd15"   ? sd15_unet_config()
                            : shape == "sd21" ? sd21_unet_config()
                                              : mvdream_unet_config();
  const c10::NoGradGuard no_grad;
  UNet unet(config, Weights::random(1, type, device));
  unet.pack();
  double n_parameters = 0;
  for (const auto& [name, tensor] : unet.parameters()) n_parameters += static_cast<double>(tensor.numel());
  const auto options = at::TensorOptions().device(device);
  const auto sample = at::randn({batch, config.in_channels, side, side}, options);
  const auto text = at::randn({batch, tokens, config.text_channels}, options);
  const auto t = at::full({batch}, 500, options.dtype(at::kLong));
  UNetExtra extra;
  extra.n_views = views;
  if (config.camera_inputs > 0) extra.camera = at::randn({batch, config.camera_inputs}, options);

  const double seconds = bench::best_seconds(repeats, device, [&] { unet(sample, t, text, extra); });
  const std::shared_ptr<const UNet> shared(std::shared_ptr<void>(), &unet);
  const UNetDenoiser denoiser(shared, Prediction::Epsilon);
  const Condition condition{text, extra.camera, {}, views};
  // The first calls record.
  for (int i = 0; !device.is_cpu() && i < 4; ++i) denoiser.predict(sample, t, condition);
  const double recorded_seconds =
      device.is_cpu() ? 0
                      : bench::best_seconds(repeats, device, [&] { denoiser.predict(sample, t, condition); });
  const size_t device_peak = ops::peak_device_bytes(device);
  const size_t peak = peak_rss_bytes();

  const auto rates = bench::measured_rates(device, unet.compute_type, batch, side);
  const auto ops = bench::count_unet(config, static_cast<double>(batch), static_cast<double>(side),
                                     static_cast<double>(tokens), static_cast<double>(views));
  const double ideal = ops.convolution / rates.convolution + (ops.matrix + ops.attention) / rates.matrix;
  std::printf("%s, %.0f M parameters as %s, computing in %s, %s, batch %lld, %lld x %lld, %d threads\n",
              shape.c_str(), n_parameters / 1e6, dtype.c_str(), c10::toString(unet.compute_type),
              device_name.c_str(), static_cast<long long>(batch), static_cast<long long>(side),
              static_cast<long long>(side), n_threads);
  std::printf("time per call            %10.4f s\n", seconds);
  if (recorded_seconds > 0) std::printf("recorded and replayed    %10.4f s\n", recorded_seconds);
  std::printf("operations               %10.1f GFLOP (convolutions %.1f, matrices %.1f, attention %.1f)\n",
              ops.total() / 1e9, ops.convolution / 1e9, ops.matrix / 1e9, ops.attention / 1e9);
  std::printf("rate                     %10.1f GFLOP/s\n", ops.total() / seconds / 1e9);
  std::printf("measured convolutions    %10.1f GFLOP/s, matrix products %.1f GFLOP/s\n",
              rates.convolution / 1e9, rates.matrix / 1e9);
  std::printf("share of the measured    %10.1f %%\n",
              100 * ideal / (recorded_seconds > 0 ? recorded_seconds : seconds));
  std::printf("peak resident memory     %10.2f GB\n", static_cast<double>(peak) / 1e9);
  if (device_peak > 0)
    std::printf("peak device memory       %10.2f GB\n", static_cast<double>(device_peak) / 1e9);
  std::fflush(stdout);
  if (peer.empty()) return 0;
  std::printf("peer: %s\n", peer.c_str());
  std::fflush(stdout);
  return std::system(peer.c_str()) == 0 ? 0 : 1;
}
