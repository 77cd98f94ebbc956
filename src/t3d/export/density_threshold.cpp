#include "t3d/export/density_threshold.h"

#include <algorithm>
#include <cmath>

#include "t3d/core/error.h"

namespace t3d::export_ {

constexpr size_t kBins = 256;

DensityThreshold::DensityThreshold(float cell_size) : cell_size_(cell_size), histogram_(kBins, 0) {
  T3D_CHECK(cell_size > 0, "cell size ", cell_size);
}

void DensityThreshold::add(const float* sigma, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    if (!(sigma[i] > 0)) continue;
    const float opacity = -std::expm1(-sigma[i] * cell_size_);
    ++histogram_[std::min(static_cast<size_t>(opacity * kBins), kBins - 1)];
  }
}

float DensityThreshold::sigma() const {
  double n = 0, sum = 0;
  for (size_t i = 1; i < kBins; ++i) {
    n += static_cast<double>(histogram_[i]);
    sum += static_cast<double>(histogram_[i] * i);
  }
  double cut = 0.5;
  if (n >= 100) {
    double n_low = 0, sum_low = 0, best = -1;
    size_t first_best = 0, last_best = 0;
    for (size_t i = 1; i + 1 < kBins; ++i) {
      n_low += static_cast<double>(histogram_[i]);
      sum_low += static_cast<double>(histogram_[i] * i);
      const double n_high = n - n_low;
      if (n_low == 0 || n_high == 0) continue;
      const double difference = sum_low / n_low - (sum - sum_low) / n_high;
      const double between = n_low * n_high * difference * difference;
      if (between > best * (1 + 1e-12)) best = between, first_best = i;
      if (between >= best * (1 - 1e-12)) last_best = i;
    }
    // Over a gap without cells every cut is as good: take its middle.
    if (best > 0) cut = (0.5 * static_cast<double>(first_best + last_best) + 1) / kBins;
  }
  cut = std::clamp(cut, 0.05, 0.9);
  return static_cast<float>(-std::log1p(-cut)) / cell_size_;
}

}  // namespace t3d::export_
