#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <functional>

namespace t3d::bench {

/// Waits until everything that was asked of the device before is done.
void wait_for(const c10::Device& device);

/// The best of `repeats` calls after one that is not timed, in seconds, the device's work included.
double best_seconds(int repeats, const c10::Device& device, const std::function<void()>& body);

/// What LibTorch's own operators reach on this machine with numbers of one type, in FLOP/s.
struct TensorRates {
  double convolution;  ///< 3x3, 320 to 320 channels, `batch` pictures of side x side
  double matrix;       ///< 4096 x 1280 x 1280
};
TensorRates measured_rates(const c10::Device& device, at::ScalarType type, int64_t batch, int64_t side);

}  // namespace t3d::bench
