#pragma once

#include <memory>

#include "t3d/ops/packed_weight.h"

namespace t3d::ops {

// Products with frozen packed weights where gradients flow on to the inputs: dx = W^T dy, in bfloat16 with
// sums in single precision too, through weights that are packed for it at the first gradient and kept
// (PackedWeight::transposed). No second derivatives.

/// PackedWeight::linear for inputs and residuals that need gradients.
at::Tensor packed_linear(const std::shared_ptr<const PackedWeight>& weight, const at::Tensor& x,
                         const at::Tensor& residual, at::ScalarType as);

/// PackedWeight::convolution of stride 1 in the same way; padding < kernel. extra.item_bias gets no gradient.
at::Tensor packed_convolution(const std::shared_ptr<const PackedWeight>& weight, const at::Tensor& x,
                              int64_t padding, const PackedWeight::Extra& extra);

}  // namespace t3d::ops
