#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>

namespace t3d::field {

using ActivationFunction = std::function<at::Tensor(const at::Tensor&)>;

/// threestudio's activations by name, in any case: none, relu, leaky_relu, silu, gelu, elu, tanh, sigmoid,
/// softplus, shifted_softplus (x-1), exp, shifted_exp (x-1), trunc_exp, shifted_trunc_exp, lin2srgb,
/// scale_-11_01 (x/2+1/2, not clamped), sine, abs. `where` names the key in the UserError for another name.
ActivationFunction activation_by_name(const std::string& name, const std::string& where);

}  // namespace t3d::field
