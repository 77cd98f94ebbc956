#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "t3d/ops/adam_config.h"

namespace t3d::ops {

/// One step in place on tensors of one shape. `step` counts from 1. Gradients are left alone, unless
/// `clear_gradients` makes them zero.
///
/// Contiguous floats take one pass of the kernel of their device. Others (doubles, other layouts) go through
/// LibTorch's operations, the reference that the kernels are tested against, which knows no
/// skip_zero_gradients.
void adam_step(const at::Tensor& params, const at::Tensor& gradients, const at::Tensor& m,
               const at::Tensor& v, const AdamConfig& config, double lr, int64_t step,
               double gradient_scale = 1, bool clear_gradients = false);

/// The same for several tensors.
void adam_step(const std::vector<at::Tensor>& params, const std::vector<at::Tensor>& gradients,
               const std::vector<at::Tensor>& m, const std::vector<at::Tensor>& v, const AdamConfig& config,
               double lr, int64_t step, double gradient_scale = 1, bool clear_gradients = false);

}  // namespace t3d::ops

namespace t3d::ops::cpu {

/// One step over n floats in one pass through memory; all cores, vectorised. With clear_gradients the
/// gradients are zero afterwards, which saves the pass that would clear them.
void adam_step(float* params, float* gradients, float* m, float* v, int64_t n, const AdamFactors& factors,
               bool clear_gradients = true);

}  // namespace t3d::ops::cpu
