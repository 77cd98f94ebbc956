#pragma once

#include <cmath>

#include "t3d/core/rng.h"

/// Alpha compositing of one ray, front to back, shared by the CPU and CUDA inference code. No torch header.
namespace t3d::ops {

constexpr float kMinTransmittance = 1e-4f;

struct RayAccumulator {
  float transmittance = 1.0f;
  float colour[3] = {0.0f, 0.0f, 0.0f};
  float depth = 0.0f;

  /// Adds one sample: w = T (1 - exp(-sigma dt)).
  T3D_HOST_DEVICE void add(float sigma, const float* rgb, float t, float dt) {
    const float keep = expf(-sigma * dt), w = transmittance * (1.0f - keep);
    for (int c = 0; c < 3; ++c) colour[c] += w * rgb[c];
    depth += w * t;
    transmittance *= keep;
  }
  T3D_HOST_DEVICE float opacity() const { return 1.0f - transmittance; }
  T3D_HOST_DEVICE bool is_done(float min_transmittance = kMinTransmittance) const {
    return transmittance <= min_transmittance;
  }
};

}  // namespace t3d::ops
