#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "t3d/ops/mlp_config.h"
#include "t3d/ops/rows.h"

namespace t3d::ops {

/// The network applied to a batch.
///
///   x       [N,n_in]  float or double
///   params  [P]       same type, P = mlp_n_params(config): the weight matrices one after another
///   returns [N,n_out]
///
/// Differentiable in x and params, also twice (the second time through plain matrix products). Float on the
/// CPU runs the vectorised kernels below. Throws BugError on a wrong shape or type.
at::Tensor mlp(const at::Tensor& x, const at::Tensor& params, const MlpConfig& config);

/// The same by matrix products and activations alone: the reference, any device and type.
at::Tensor mlp_reference(const at::Tensor& x, const at::Tensor& params, const MlpConfig& config);

/// [P] float, each matrix uniform in +-1/sqrt(fan_in) (threestudio's VanillaMLP).
at::Tensor mlp_init_uniform(const MlpConfig& config, uint64_t seed);

/// [P] float, each matrix uniform in +-sqrt(6 / (fan_in + fan_out)) (tiny-cuda-nn, ngp_pl).
at::Tensor mlp_init_xavier(const MlpConfig& config, uint64_t seed);

}  // namespace t3d::ops

/// Raw kernels: float pointers, all cores (OpenMP), AVX-512, AVX2 or portable code chosen at run time.
/// Results do not depend on the number of threads.
namespace t3d::ops::cpu {

/// Floats that mlp_forward needs to keep the hidden activations of n rows (their order is private). None in
/// bfloat16, where computing them again is cheaper than moving them.
int64_t mlp_hidden_size(const MlpConfig& config, int64_t n);

/// y (n_out components per row, after the output activation) from x (n_in components per row).
/// hidden: null, or room for mlp_hidden_size floats, for the backward pass.
void mlp_forward(const MlpConfig& config, const float* params, Rows<const float> x, int64_t n, Rows<float> y,
                 float* hidden);

/// dx (may be null; overwritten) and dparams [P] (may be null; added to) from dy, the gradient of y.
/// y: what mlp_forward wrote (may be null when output_activation is None).
/// hidden: what mlp_forward kept; null: computed again from x.
void mlp_backward(const MlpConfig& config, const float* params, Rows<const float> x, int64_t n,
                  Rows<const float> y, const float* hidden, Rows<const float> dy, Rows<float> dx,
                  float* dparams);

}  // namespace t3d::ops::cpu
