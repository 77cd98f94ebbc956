#pragma once

#include <ATen/core/Tensor.h>

namespace t3d::ops {

/// Group normalisation of pictures, with SiLU behind it where wanted.
/// Wu and He 2018, arXiv:1803.08494, eq. 1:
///
///   z = weight_c (x - mean) / sqrt(variance + eps) + bias_c      over a group's channels and all pixels
///   y = z, or z sigmoid(z)
///
///   x             [B,C,H,W]  any float type and layout
///   weight, bias  [C]        x's type
///   returns       [B,C,H,W]  x's type; sums are in single precision
///
/// Differentiable once where the fused kernels run: channels-last tensors on CUDA whose C is a multiple of 8,
/// and on the CPU in float, and in bfloat16 with a matrix unit; there weight and bias may be of any type. They read x twice and
/// write y once, and keep nothing but x for the backward pass, where LibTorch first copies such tensors to
/// the other layout, uses six kernels and keeps z. Elsewhere this is LibTorch's group_norm and silu.
at::Tensor group_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, int64_t n_groups,
                      double eps, bool with_silu);

/// The same of channels-last pictures in bfloat16 or float, answered in bfloat16: what a product behind it
/// reads. weight and bias [C] of any type. Differentiable once. Needs a CPU with a matrix unit.
at::Tensor bf16_group_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                           int64_t n_groups, double eps, bool with_silu);
/// Whether it takes x.
bool bf16_group_norm_runs(const at::Tensor& x);

/// Whether group_norm has its own kernels for x in float on the CPU: channels last.
bool float_group_norm_runs(const at::Tensor& x);

/// Gradients with respect to what bf16_group_norm was given, each of its own type.
struct GroupNormGradient {
  at::Tensor x, weight, bias;
};
///   statistics  [B,groups,2] float: mean and 1 / deviation, as the forward kernels leave them
///   of_y        [B,C,H,W] bfloat16 or float: the gradient with respect to the result
///   in_place    of_y may become the gradient with respect to x, where their types are the same
GroupNormGradient bf16_group_norm_gradient(const at::Tensor& x, const at::Tensor& weight,
                                           const at::Tensor& bias, const at::Tensor& statistics,
                                           const at::Tensor& of_y, bool with_silu, bool in_place = false);

/// The same of what group_norm was given in float on the CPU: x and of_y are float.
GroupNormGradient float_group_norm_gradient(const at::Tensor& x, const at::Tensor& weight,
                                            const at::Tensor& bias, const at::Tensor& statistics,
                                            const at::Tensor& of_y, bool with_silu, bool in_place = false);

/// The same from the definition, in the order of the formula: slow, for tests.
at::Tensor group_norm_reference(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                int64_t n_groups, double eps, bool with_silu);

}  // namespace t3d::ops
