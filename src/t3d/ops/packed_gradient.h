#pragma once

#include <memory>

#include "t3d/ops/packed_weight.h"

namespace t3d::ops {

// Products with frozen packed weights where gradients flow on to the inputs: dx = W^T dy, in the weight's type
// with sums in single precision too, through weights that are packed for it at the first gradient and kept
// (PackedWeight::linear_adjoint). No second derivatives.

/// PackedWeight::linear for inputs and residuals that need gradients.
at::Tensor packed_linear(const std::shared_ptr<const PackedWeight>& weight, const at::Tensor& x,
                         const at::Tensor& residual, at::ScalarType as);

/// PackedWeight::convolution in the same way; padding < kernel, stride <= kernel. x has the weight's type, or is
/// float and rounded on the way to the product, and its gradient has its type. extra.item_bias gets no gradient.
at::Tensor packed_convolution(const std::shared_ptr<const PackedWeight>& weight, const at::Tensor& x,
                              int64_t stride, Padding padding, const PackedWeight::Extra& extra);

struct Norm {
  at::Tensor weight, bias;  // [C]
  int64_t n_groups;
  double eps;
};
/// The same of SiLU of the group norm of x [B,C,H,W], channels last, bfloat16 or float (float alone for a weight
/// in float). What is between the two has the weight's type, but the gradient there is float. The norm's parameters get gradients too.
at::Tensor packed_convolution_of_norm(const std::shared_ptr<const PackedWeight>& weight, const Norm& norm,
                                      const at::Tensor& x, int64_t stride, int64_t padding,
                                      const PackedWeight::Extra& extra);

}  // namespace t3d::ops
