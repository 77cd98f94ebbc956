#pragma once

#include <cstdint>

#include "t3d/math/vec.h"

namespace t3d::trace {

/// Low-discrepancy points for one pixel: each pair of dimensions is a Kronecker sequence of the plastic
/// number, visited in an order scrambled per pixel and dimension and shifted at random (Cranley-Patterson). A
/// function of (seed, pixel, sample, dimension) alone, so images do not depend on threads.
class PixelSampler {
 public:
  PixelSampler(uint64_t seed, uint32_t pixel, uint32_t n_samples);
  void start_sample(uint32_t index) {
    index_ = index;
    dimension_ = 0;
  }
  /// Two numbers in [0,1).
  Vec2f next_2d();
  float next_1d() { return next_2d().x(); }

 private:
  uint64_t key_;
  uint32_t mask_, index_ = 0, dimension_ = 0;
};

}  // namespace t3d::trace
