#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "t3d/diffusion/layers.h"

namespace t3d::diffusion {

/// What both of CLIP's towers are made of. Radford et al. 2021, arXiv:2103.00020.
struct ClipTowerConfig {
  enum class Activation { Gelu, QuickGelu };

  int64_t n_channels = 0, n_hidden = 0, n_layers = 0, n_heads = 0;
  Activation activation = Activation::QuickGelu;
  double norm_eps = 1e-5;

  /// Reads transformers' keys (hidden_size, intermediate_size, ...). Throws UserError "where: key ...".
  static ClipTowerConfig from_json(const nlohmann::json& config, const std::string& where);
};

/// Pre-norm transformer block: x + attention(norm(x)), then x + mlp(norm(x)).
class ClipLayer {
 public:
  ClipLayer(const ClipTowerConfig& config, const Weights& w);
  /// [B,N,C] -> [B,N,C]; x has the type that is added up in, `arithmetic` is multiplied in: sum_type.
  at::Tensor operator()(const at::Tensor& x, bool causal, at::ScalarType arithmetic) const;

 private:
  at::Tensor activated(const at::Tensor& x) const;

  LayerNorm norm_1_, norm_2_;
  Linear query_, key_, value_, out_, up_, down_;
  int64_t n_heads_;
  ClipTowerConfig::Activation activation_;
};

std::vector<ClipLayer> clip_layers(const ClipTowerConfig& config, const Weights& w);

}  // namespace t3d::diffusion
