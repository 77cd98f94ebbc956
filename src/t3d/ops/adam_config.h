#pragma once

#include <cstdint>

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

/// What the kernels of one step multiply by, worked out once in double.
struct AdamFactors {
  float beta1, one_minus_beta1, beta2, one_minus_beta2, eps, l2;
  float keep;            ///< 1 - lr * weight_decay
  float step_size;       ///< lr / (1 - beta1^t)
  float v_correction;    ///< 1 / (1 - beta2^t)
  float gradient_scale;  ///< undoes a loss scale, or clips
  bool skip_zero_gradients;
};

/// `step` is t, from 1.
AdamFactors adam_factors(const AdamConfig& config, double lr, int64_t step, double gradient_scale = 1);

}  // namespace t3d::ops
