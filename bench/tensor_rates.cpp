#include "bench/tensor_rates.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "t3d/core/clock.h"

namespace t3d::bench {

void wait_for(const c10::Device& device) {
  // Reading one number back waits for everything before it.
  if (!device.is_cpu()) at::ones({1}, at::TensorOptions().device(device)).item<float>();
}

double best_seconds(int repeats, const c10::Device& device, const std::function<void()>& body) {
  body();
  wait_for(device);
  double best = 1e30;
  for (int i = 0; i < repeats; ++i) {
    const double before = now_s();
    body();
    wait_for(device);
    best = std::min(best, now_s() - before);
  }
  return best;
}

TensorRates measured_rates(const c10::Device& device, at::ScalarType type, int64_t batch, int64_t side) {
  const auto options = at::TensorOptions().device(device).dtype(type);
  const auto x = at::randn({batch, 320, side, side}, options), k = at::randn({320, 320, 3, 3}, options);
  const auto a = at::randn({4096, 1280}, options), b = at::randn({1280, 1280}, options);
  const double pixels = static_cast<double>(batch * side * side);
  // Short calls on a device wait for their launch: several go out together.
  const int calls = device.is_cpu() ? 1 : 20;
  const auto rate = [&](double operations, const std::function<void()>& body) {
    return calls * operations / best_seconds(5, device, [&] {
             for (int i = 0; i < calls; ++i) body();
           });
  };
  return {rate(2 * pixels * 9 * 320 * 320, [&] { at::conv2d(x, k, {}, 1, 1); }),
          rate(2.0 * 4096 * 1280 * 1280, [&] { at::linear(a, b); })};
}

}  // namespace t3d::bench
