#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace t3d::ops {

/// Kingma & Ba 2014, Adam, arXiv:1412.6980, with the bias corrections folded into the step size:
///   g' = g * gradient_scale + l2 * p
///   m = beta1 m + (1-beta1) g';  v = beta2 v + (1-beta2) g'^2
///   p = p * (1 - lr * weight_decay) - lr * (m / (1-beta1^t)) / (sqrt(v / (1-beta2^t)) + eps)
struct AdamConfig {
  double beta1 = 0.9, beta2 = 0.99, eps = 1e-15;
  double l2 = 0;            ///< added to the gradient (instant-ngp: 1e-6 on the networks' weights)
  double weight_decay = 0;  ///< decoupled, as in AdamW
  /// Leaves parameter, m and v untouched where the gradient is exactly 0 (instant-ngp's hash tables, most of
  /// whose entries no sample touches).
  bool skip_zero_gradients = false;
};

/// One step in place on tensors of one shape. `step` counts from 1. Gradients are left alone. Contiguous
/// floats on the CPU take one pass through memory; others, on any device, know no skip_zero_gradients.
void adam_step(const at::Tensor& params, const at::Tensor& gradients, const at::Tensor& m,
               const at::Tensor& v, const AdamConfig& config, double lr, int64_t step);

/// The same for several tensors; on CUDA a few launches for all of them.
void adam_step(const std::vector<at::Tensor>& params, const std::vector<at::Tensor>& gradients,
               const std::vector<at::Tensor>& m, const std::vector<at::Tensor>& v, const AdamConfig& config,
               double lr, int64_t step);

}  // namespace t3d::ops

namespace t3d::ops::cpu {

/// One step over n floats in one pass through memory; all cores, vectorised. With clear_gradients the
/// gradients are zero afterwards, which saves the pass that would clear them. gradient_scale undoes a loss
/// scale.
void adam_step(float* params, float* gradients, float* m, float* v, int64_t n, const AdamConfig& config,
               double lr, int64_t step, bool clear_gradients = true, float gradient_scale = 1.f);

}  // namespace t3d::ops::cpu
