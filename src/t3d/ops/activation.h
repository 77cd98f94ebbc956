#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "t3d/ops/mlp_config.h"

namespace t3d::ops {

/// "none", "relu", "sigmoid", "trunc_exp", "softplus"; threestudio's spellings ("identity", "exp") are known
/// too. Throws UserError with the nearest name.
Activation activation_from_name(const std::string& name);
const char* activation_name(Activation activation);
std::vector<std::string> activation_names();

/// Applies it element by element; any shape, any floating type, CPU or CUDA. Differentiable twice.
at::Tensor activate(const at::Tensor& x, Activation activation);

/// exp(x); the backward pass multiplies by exp(clamp(x, -15, 15)) so that one bad sample cannot overflow.
at::Tensor trunc_exp(const at::Tensor& x);

}  // namespace t3d::ops
