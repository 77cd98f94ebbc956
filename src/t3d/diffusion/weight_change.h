#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "t3d/diffusion/adapter_names.h"

namespace t3d::diffusion {

/// The tensors of one layer in an adapter file, by role: names in the file.
using LayerTensors = std::map<AdapterRole, std::string>;

/// How the factor of a change follows from alpha and rank r: alpha/r, and alpha/sqrt(r) for rank-stabilised
/// LoRA (Kalajdzievski 2023, arXiv:2312.03732). `alpha` is what the file's description says where the layer
/// has no
/// ".alpha" of its own; 0: the rank, so that the factor is 1.
struct AlphaRule {
  double alpha = 0;
  bool is_rank_stabilised = false;
};

/// What is wrong with a layer's tensors for a weight of this shape [out,in] or [out,in,k,k] (empty: the layer
/// has no such weight) and a bias of `n_bias` numbers (0: none): "is [4, 7] instead of [rank,6]". Empty when
/// nothing is.
std::string layer_problem(const TensorSource& file, const LayerTensors& layer,
                          const std::vector<int64_t>& weight, int64_t n_bias);

/// The weight with the change added `strength` times, float32. The kinds, each W + strength * (...):
///   LoRA     Hu et al. 2021, arXiv:2106.09685           alpha/r up down; with a middle also for kernels
///   (LoCon) LoHa     Hyeon-Woo et al. 2021, arXiv:2108.06098    alpha/r (w1a w1b) * (w2a w2b) LoKr     Yeh
///   et al. 2023, arXiv:2309.14859          alpha/r w1 (Kronecker) w2 diff     the change itself
/// With DoRA (Liu et al. 2024, arXiv:2402.09353, eq. 5) the sum's rows or columns get the lengths that the
/// file has.
at::Tensor changed_weight(const TensorSource& file, const LayerTensors& layer, const AlphaRule& rule,
                          const at::Tensor& weight, double strength);

/// The same of the layer's bias.
at::Tensor changed_bias(const TensorSource& file, const LayerTensors& layer, const AlphaRule& rule,
                        const at::Tensor& bias, double strength);

}  // namespace t3d::diffusion
