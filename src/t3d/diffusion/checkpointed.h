#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace t3d::diffusion {

using TensorFunction = std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>&)>;

/// f(inputs) without keeping what its backward pass needs: f runs a second time there. Chen et al. 2016,
/// arXiv:1604.06174. `parameters` are the tensors that f reads besides its inputs and that may want
/// gradients. f must give the same answer both times. Cost: one more forward pass. Without anything that
/// wants a gradient it is a plain call.
std::vector<at::Tensor> checkpointed(const TensorFunction& f, const std::vector<at::Tensor>& inputs,
                                     const std::vector<at::Tensor>& parameters);

}  // namespace t3d::diffusion
