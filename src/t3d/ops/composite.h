#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "t3d/ops/composite_ray.h"

/// Volume rendering of packed samples (Max 1995; Mildenhall et al. 2020, arXiv:2003.08934, eq. 3):
///   alpha_i = 1 - exp(-sigma_i dt_i),  T_i = exp(-sum_{j<i} sigma_j dt_j),  w_i = T_i alpha_i.
/// Samples of ray r are ray_start[r] .. ray_start[r+1]-1. Tensors: float or double (the reference path), CPU.
namespace t3d::ops {

enum class PixelLoss { L2, Huber };

struct CompositeLossConfig {
  PixelLoss loss = PixelLoss::L2;
  float huber_delta = 0.1f;  ///< Huber: d^2/2 below it, delta(|d| - delta/2) above, divided by `delta`
  float min_transmittance = kMinTransmittance;  ///< a ray stops once T <= this
  float loss_scale = 1.0f;                      ///< gradients (not the reported loss) are multiplied by it
  float opacity_entropy = 0.0f;                 ///< weight of mean(-o ln o), o = max(opacity, 1e-6)
  float distortion = 0.0f;                      ///< weight of the mean distortion loss
};

struct CompositeLossResult {
  double loss = 0;           ///< mean over rays and channels, with the other terms
  double squared_error = 0;  ///< mean over rays and channels: PSNR = -10 log10
  int64_t n_used = 0;        ///< samples up to and with the one at which each ray stopped
};

namespace cpu {

/// Per-ray outputs; null pointers are skipped. colour [R,3] without background.
struct CompositeOutputs {
  float* colour = nullptr;
  float* opacity = nullptr;     ///< [R]
  float* depth = nullptr;       ///< [R] sum w t, not divided by opacity
  float* z_variance = nullptr;  ///< [R] sum w (t - depth)^2, depth as a constant
  int32_t* n_used = nullptr;    ///< [R] samples until T <= min_transmittance (that one included)
};

/// sigma, t, dt [S]; rgb [S,3] or null. Weights beyond the early stop are 0. weights [S] or null.
void composite_forward(const int32_t* ray_start, int64_t n_rays, const float* sigma, const float* rgb,
                       const float* t, const float* dt, float min_transmittance, float* weights,
                       const CompositeOutputs& out);

/// One pass of the NGP training step per ray: composite over the background, loss against the target, and
/// the gradient of every sample (0 past the early stop).
///   target      [R,4] colour with straight alpha, compared as  rgb*a + background*(1-a)
///   background  [R,3]
///   d_sigma [S], d_rgb [S,3], n_used [R]; colour [R,3] with background, or null
/// The loss is the mean over R rays (also rays without samples) and 3 channels.
CompositeLossResult composite_loss(const int32_t* ray_start, int64_t n_rays, const float* sigma,
                                   const float* rgb, const float* t, const float* dt, const float* target,
                                   const float* background, const CompositeLossConfig& config, float* d_sigma,
                                   float* d_rgb, int32_t* n_used, float* colour);

/// Compaction after the early stop: new_start [R+1], and source [n_used in all] the old place of each sample
/// that stays. Returns how many stay. source has room for ray_start[R].
int64_t compact_samples(const int32_t* ray_start, const int32_t* n_used, int64_t n_rays, int32_t* new_start,
                        int32_t* source);

/// 2 sum_i (A_i W'_i - W_i A'_i) + sum_i w_i^2 dt_i / 3 per ray, with prefix sums: loss [R].
void distortion_forward(const int32_t* ray_start, int64_t n_rays, const float* weights, const float* t,
                        const float* dt, float* loss);
/// d_weights [S] from d_loss [R].
void distortion_backward(const int32_t* ray_start, int64_t n_rays, const float* weights, const float* t,
                         const float* dt, const float* d_loss, float* d_weights);

}  // namespace cpu

/// ray_start [R+1] int32 of sorted ray_indices [S].
at::Tensor ray_start_from_indices(const at::Tensor& ray_indices, int64_t n_rays);
/// ray_indices [S] int64.
at::Tensor ray_indices_from_start(const at::Tensor& ray_start);

struct RayWeights {
  at::Tensor weights, transmittance, alphas;  ///< [S], or [R,N] as the input
};
/// Differentiable in sigma. sigma, dt [S].
RayWeights weights_from_density(const at::Tensor& sigma, const at::Tensor& dt, const at::Tensor& ray_start);
/// Differentiable in alpha: w_i = alpha_i prod_{j<i} (1 - alpha_j); finite gradients also at alpha = 1.
RayWeights weights_from_alpha(const at::Tensor& alpha, const at::Tensor& ray_start);
/// Rays of equal length: sigma, dt [R,N].
RayWeights weights_from_density_batched(const at::Tensor& sigma, const at::Tensor& dt);

/// Sum over each ray of weights [S] * values [S,C] -> [R,C]; values undefined: the weights alone, [R,1].
/// Differentiable in both.
at::Tensor accumulate_along_rays(const at::Tensor& weights, const at::Tensor& values,
                                 const at::Tensor& ray_start);

/// [S] bool: transmittance >= min_transmittance, and alpha >= min_alpha where min_alpha > 0. No gradient.
at::Tensor visible_samples(const at::Tensor& sigma, const at::Tensor& dt, const at::Tensor& ray_start,
                           double min_transmittance, double min_alpha);

/// The same by the opacities themselves, alpha [S].
at::Tensor visible_samples(const at::Tensor& alpha, const at::Tensor& ray_start, double min_transmittance,
                           double min_alpha);

/// Of threestudio's renderer: w' = w/max(opacity, 1e-5), m = sum w' t, sum w' (t - m)^2, 0 where opacity <=
/// 0.5. -> [R,1]. Differentiable in weights.
at::Tensor z_variance(const at::Tensor& weights, const at::Tensor& t, const at::Tensor& opacity,
                      const at::Tensor& ray_start);

/// Colour, opacity and depth with the early stop, one fused pass. Differentiable in sigma and rgb.
struct Composited {
  at::Tensor colour;   ///< [R,3], over `background`
  at::Tensor opacity;  ///< [R,1]
  at::Tensor depth;    ///< [R,1]
};
/// sigma, t, dt [S]; rgb [S,3]; background [3], [R,3] or undefined (black). Not differentiable in background.
Composited composite(const at::Tensor& sigma, const at::Tensor& rgb, const at::Tensor& t,
                     const at::Tensor& dt, const at::Tensor& ray_start, const at::Tensor& background = {},
                     double min_transmittance = kMinTransmittance);

/// Distortion loss per ray (Barron et al. 2022, arXiv:2111.12077, eq. 15; O(N) as Sun et al. 2022): [R].
/// Differentiable in weights.
at::Tensor distortion_loss(const at::Tensor& weights, const at::Tensor& t, const at::Tensor& dt,
                           const at::Tensor& ray_start);
/// The double sum of the definition, O(N^2) per ray.
at::Tensor distortion_loss_reference(const at::Tensor& weights, const at::Tensor& t, const at::Tensor& dt,
                                     const at::Tensor& ray_start);

}  // namespace t3d::ops
