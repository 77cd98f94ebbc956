#pragma once

#include <cstdint>

#include "t3d/field/ngp_model.h"
#include "t3d/ops/aligned.h"

namespace t3d::train {

/// Memory that grows, losing what it holds, and is never given back, so that a training loop allocates
/// nothing after its first steps.
class Workspace {
 public:
  float* need(int64_t n) {
    if (size_ < n) {
      size_ = n + n / 8;
      data_ = ops::cpu::Aligned<float>(size_);
    }
    return data_.data();
  }
  float* data() const { return data_.data(); }

 private:
  int64_t size_ = 0;
  ops::cpu::Aligned<float> data_{0};
};

/// The field's networks on the CPU kernels, batch by batch, with every intermediate kept where the backward
/// pass finds it. Points are in scene space; n rows.
class NgpNetworkCpu {
 public:
  NgpNetworkCpu(const field::NgpLayout& layout, float aabb_scale)
      : layout_(layout), inverse_scale_(1.0f / aabb_scale) {}

  /// features of n points -> density; keeps the features and grid coordinates.
  void density(const float* params, const float* points, int64_t n, float* sigma);

  /// Keeps rows source[0..n) of what density() was given, and computes their colours; the hidden activations
  /// are kept.
  ///   directions_sh [R,n_sh] spherical harmonics per ray; ray [m] ray of each old row
  void select_and_shade(const float* params, const int32_t* source, int64_t n, const float* directions_sh,
                        const int32_t* ray, float* sigma, float* rgb);

  /// gradients [P] += from d_sigma [n], d_rgb [n,3] of the selected rows.
  void backward(const float* params, const float* d_sigma, const float* d_rgb, int64_t n, float* gradients);

  /// Colours of n points without keeping anything for a backward pass; one direction's harmonics per row.
  void shade(const float* params, const float* points, const float* sh, int64_t n, float* rgb);

 private:
  void encode(const float* params, const float* points, int64_t n);
  const float* density_params(const float* params) const { return params + layout_.n_grid; }
  const float* colour_params(const float* params) const {
    return params + layout_.n_grid + layout_.n_density;
  }

  field::NgpLayout layout_;
  float inverse_scale_;
  int64_t pitch_ = 0;  ///< of features_
  Workspace coordinates_, features_, geometry_;
  Workspace kept_coordinates_, kept_features_, kept_colour_in_, density_hidden_, colour_hidden_, kept_rgb_;
  Workspace d_colour_in_, d_features_;
};

}  // namespace t3d::train
