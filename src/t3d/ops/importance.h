#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

/// Resampling of intervals along rays by inverse transform sampling (Mildenhall et al. 2020, section 5.2).
namespace t3d::ops {

namespace cpu {

/// edges, cdf [R,E] (rising); jitter [R] in [0,1), or null: 0.5. samples [R,N], intervals [R,N+1].
void resample(const float* edges, const float* cdf, int64_t n_rays, int64_t n_edges, const float* jitter,
              int64_t n_samples, float* samples, float* intervals);

}  // namespace cpu

struct Resampled {
  at::Tensor intervals;  ///< [R,N+1] edges: middles between samples; ends mirrored and clamped to the input
  at::Tensor samples;    ///< [R,N]
};

/// Samples at u_i = cdf_first + (i + jitter) (cdf_last - cdf_first)/N through the inverse of the piecewise
/// linear cdf. One jitter per ray. Not differentiable. float, CPU.
Resampled importance_resample(const at::Tensor& edges, const at::Tensor& cdf, int64_t n_samples,
                              const at::Tensor& jitter = {});

/// 1 - transmittance at the interval edges [R,E] of weights' densities: cdf for importance_resample.
///   transmittance [R,E-1] before each interval; last: after the last one, taken as 0.
at::Tensor cdf_from_transmittance(const at::Tensor& transmittance);

/// Sorted union of two sets of edges per ray: [R,A] and [R,B] -> [R,A+B].
at::Tensor merge_edges(const at::Tensor& a, const at::Tensor& b);

}  // namespace t3d::ops
