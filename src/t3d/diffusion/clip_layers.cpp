#include "t3d/diffusion/clip_layers.h"

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "t3d/core/error.h"
#include "t3d/diffusion/attention.h"
#include "t3d/diffusion/json_reader.h"

namespace t3d::diffusion {

ClipTowerConfig ClipTowerConfig::from_json(const nlohmann::json& config, const std::string& where) {
  const JsonReader read(config, where);
  ClipTowerConfig out;
  out.n_channels = read.whole("hidden_size", 512, 1, 1 << 16);
  out.n_hidden = read.whole("intermediate_size", 4 * out.n_channels, 1, 1 << 18);
  out.n_layers = read.whole("num_hidden_layers", 12, 1, 1024);
  out.n_heads = read.whole("num_attention_heads", 8, 1, 1 << 10);
  out.norm_eps = read.number("layer_norm_eps", 1e-5);
  read.expect("hidden_act", {"quick_gelu", "gelu"});
  out.activation = read.text("hidden_act", "quick_gelu") == "gelu" ? Activation::Gelu : Activation::QuickGelu;
  if (out.n_channels % out.n_heads != 0)
    throw UserError(cat(where, ": hidden_size ", out.n_channels, " is no multiple of num_attention_heads ",
                        out.n_heads, "."));
  return out;
}

ClipLayer::ClipLayer(const ClipTowerConfig& c, const Weights& w)
    : norm_1_(w.at("layer_norm1"), c.n_channels, c.norm_eps),
      norm_2_(w.at("layer_norm2"), c.n_channels, c.norm_eps),
      query_(w.at("self_attn.q_proj"), c.n_channels, c.n_channels),
      key_(w.at("self_attn.k_proj"), c.n_channels, c.n_channels),
      value_(w.at("self_attn.v_proj"), c.n_channels, c.n_channels),
      out_(w.at("self_attn.out_proj"), c.n_channels, c.n_channels),
      up_(w.at("mlp.fc1"), c.n_channels, c.n_hidden),
      down_(w.at("mlp.fc2"), c.n_hidden, c.n_channels),
      n_heads_(c.n_heads),
      activation_(c.activation) {}

at::Tensor ClipLayer::activated(const at::Tensor& x) const {
  if (activation_ == ClipTowerConfig::Activation::Gelu) return at::gelu(x);
  return x * at::sigmoid(1.702 * x);
}

at::Tensor ClipLayer::operator()(const at::Tensor& x, bool causal, at::ScalarType arithmetic) const {
  const auto n = norm_1_(x, arithmetic);
  const auto mixed = attention(split_heads(query_(n), n_heads_), split_heads(key_(n), n_heads_),
                               split_heads(value_(n), n_heads_), causal);  // [B,H,N,D]
  const auto y = out_(join_heads(mixed), x);
  return down_(activated(up_(norm_2_(y, arithmetic))), y);
}

std::vector<ClipLayer> clip_layers(const ClipTowerConfig& config, const Weights& w) {
  std::vector<ClipLayer> layers;
  for (int64_t i = 0; i < config.n_layers; ++i) layers.emplace_back(config, w.at(std::to_string(i)));
  return layers;
}

}  // namespace t3d::diffusion
