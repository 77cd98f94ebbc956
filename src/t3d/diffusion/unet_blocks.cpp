#include "t3d/diffusion/unet_blocks.h"

#include <ATen/ATen.h>

#include "t3d/core/error.h"
#include "t3d/diffusion/attention.h"
#include "t3d/diffusion/lora.h"

namespace t3d::diffusion {
namespace {

constexpr double kTransformerEps = 1e-6;

Linear projection(const Weights& w, const UNetConfig& config, int64_t channels, Init init) {
  return config.linear_projection ? Linear(w, channels, channels, true, init)
                                  : Linear::pointwise(w, channels, channels, init);
}

void collect_parameters(UNetBlock& block, const Weights& w) {
  const std::string prefix = w.full_name("");
  block.name = prefix.substr(0, prefix.size() - 1);
  const auto& all = w.parameters();
  for (auto it = all.lower_bound(prefix); it != all.end() && it->first.compare(0, prefix.size(), prefix) == 0;
       ++it)
    block.parameters.push_back(it->second);
}

}  // namespace

AttentionLayer::AttentionLayer(const Weights& w, int64_t n_channels, int64_t n_context, int64_t heads)
    : to_q(w.at("to_q"), n_channels, n_channels, false),
      to_k(w.at("to_k"), n_context, n_channels, false),
      to_v(w.at("to_v"), n_context, n_channels, false),
      to_out(w.at("to_out.0"), n_channels, n_channels),
      name_q(w.full_name("to_q")),
      name_k(w.full_name("to_k")),
      name_v(w.full_name("to_v")),
      name_out(w.full_name("to_out.0")),
      n_heads(heads) {}

at::Tensor AttentionLayer::operator()(const at::Tensor& x, const at::Tensor& context,
                                      const at::Tensor& residual, const UNetCall& call) const {
  const auto project = [&call](const Linear& layer, const std::string& name, const at::Tensor& in) {
    const at::Tensor out = layer(in);
    return call.lora == nullptr ? out : call.lora->add(name, in, out, call.lora_scale);
  };
  const auto q = split_heads(project(to_q, name_q, x), n_heads);        // [B,H,N,D]
  const auto k = split_heads(project(to_k, name_k, context), n_heads);  // [B,H,M,D]
  const auto v = split_heads(project(to_v, name_v, context), n_heads);  // [B,H,M,D]
  const auto mixed = join_heads(attention(q, k, v));                    // [B,N,C]
  return call.lora == nullptr ? to_out(mixed, residual) : project(to_out, name_out, mixed) + residual;
}

void AttentionLayer::pack() {
  for (Linear* layer : {&to_q, &to_k, &to_v, &to_out}) layer->pack();
}

TransformerBlock::TransformerBlock(const Weights& w, int64_t n_channels, int64_t n_text, int64_t n_heads)
    : norm1(w.at("norm1"), n_channels),
      norm2(w.at("norm2"), n_channels),
      norm3(w.at("norm3"), n_channels),
      attn1(w.at("attn1"), n_channels, n_channels, n_heads),
      attn2(w.at("attn2"), n_channels, n_text, n_heads),
      ff_in(w.at("ff.net.0.proj"), n_channels, 8 * n_channels),
      ff_out(w.at("ff.net.2"), 4 * n_channels, n_channels) {}

at::Tensor TransformerBlock::operator()(const at::Tensor& x, const UNetCall& call) const {
  const int64_t n = x.size(0), tokens = x.size(1), channels = x.size(2);
  const std::vector<int64_t> views{n / call.n_views, call.n_views * tokens, channels};  // in a row
  const auto type = call.arithmetic();
  const auto together = norm1(x, type).reshape(views);
  auto h = attn1(together, together, x.reshape(views), call).reshape({n, tokens, channels});
  h = attn2(norm2(h, type), call.text, h, call);
  return ff_out(ff_in.gated(norm3(h, type)), h);  // [B,N,4C] between
}

void TransformerBlock::pack() {
  attn1.pack();
  attn2.pack();
  ff_in.pack(/*is_gated=*/true);
  ff_out.pack();
}

SpatialTransformer::SpatialTransformer(const Weights& w, const UNetConfig& config, size_t level)
    : norm(w.at("norm"), config.block_channels[level], config.norm_groups, kTransformerEps),
      proj_in(projection(w.at("proj_in"), config, config.block_channels[level], Init::FanIn)),
      proj_out(projection(w.at("proj_out"), config, config.block_channels[level], Init::Zero)) {
  for (int64_t i = 0; i < config.transformer_depth[level]; ++i)
    blocks.emplace_back(w.at(cat("transformer_blocks.", i)), config.block_channels[level],
                        config.text_channels, config.n_heads[level]);
}

at::Tensor SpatialTransformer::operator()(const at::Tensor& x, const UNetCall& call) const {
  const int64_t n = x.size(0), channels = x.size(1), height = x.size(2), width = x.size(3);
  const auto type = call.arithmetic();
  auto h = proj_in(norm(x, type).flatten(2).transpose(1, 2).contiguous(), {}, x.scalar_type());  // [B,HW,C]
  for (const TransformerBlock& block : blocks) h = block(h, call);
  // With the channels last in memory all of these are views.
  return proj_out(h.to(type), x.flatten(2).transpose(1, 2))
      .transpose(1, 2)
      .reshape({n, channels, height, width});
}

void SpatialTransformer::pack() {
  proj_in.pack();
  proj_out.pack();
  for (TransformerBlock& block : blocks) block.pack();
}

UNetBlock UNetBlock::down(const Weights& w, const UNetConfig& config, size_t level) {
  UNetBlock block;
  const int64_t channels = config.block_channels[level];
  int64_t in = config.block_channels[level == 0 ? 0 : level - 1];
  for (int64_t i = 0; i < config.layers_per_block; ++i, in = channels) {
    block.resnets.emplace_back(w.at(cat("resnets.", i)), in, channels, config.time_channels(),
                               config.norm_groups, config.norm_eps);
    if (config.has_attention[level])
      block.transformers.emplace_back(w.at(cat("attentions.", i)), config, level);
  }
  if (level + 1 < config.block_channels.size())
    block.sampler.emplace(w.at("downsamplers.0.conv"), channels, channels, Conv2d::Shape{3, 2, 1});
  collect_parameters(block, w);
  return block;
}

UNetBlock UNetBlock::middle(const Weights& w, const UNetConfig& config) {
  UNetBlock block;
  const size_t last = config.block_channels.size() - 1;
  const int64_t channels = config.block_channels[last];
  for (int i = 0; i < 2; ++i)
    block.resnets.emplace_back(w.at(cat("resnets.", i)), channels, channels, config.time_channels(),
                               config.norm_groups, config.norm_eps);
  block.transformers.emplace_back(w.at("attentions.0"), config, last);
  collect_parameters(block, w);
  return block;
}

UNetBlock UNetBlock::up(const Weights& w, const UNetConfig& config, size_t level) {
  UNetBlock block;
  const auto& widths = config.block_channels;
  const int64_t channels = widths[level];
  int64_t in = widths[std::min(level + 1, widths.size() - 1)];
  for (int64_t i = 0; i <= config.layers_per_block; ++i, in = channels) {
    // The last skip comes from the level above: its halving convolution, or the first convolution.
    const int64_t skip = i == config.layers_per_block ? widths[level == 0 ? 0 : level - 1] : channels;
    block.resnets.emplace_back(w.at(cat("resnets.", i)), in + skip, channels, config.time_channels(),
                               config.norm_groups, config.norm_eps);
    if (config.has_attention[level])
      block.transformers.emplace_back(w.at(cat("attentions.", i)), config, level);
  }
  if (level > 0) block.sampler.emplace(w.at("upsamplers.0.conv"), channels, channels);
  collect_parameters(block, w);
  return block;
}

void UNetBlock::pack() {
  for (ResnetBlock& resnet : resnets) resnet.pack();
  for (SpatialTransformer& transformer : transformers) transformer.pack();
  if (sampler) sampler->pack();
}

std::vector<at::Tensor> UNetBlock::run_down(const at::Tensor& x, const UNetCall& call) const {
  std::vector<at::Tensor> outputs;
  at::Tensor h = x;
  for (size_t i = 0; i < resnets.size(); ++i) {
    h = resnets[i](h, call.time, call.arithmetic());
    if (!transformers.empty()) h = transformers[i](h, call);
    outputs.push_back(h);
  }
  if (sampler) outputs.push_back(sampler->of_rounded(h, call.arithmetic(), {}));
  return outputs;
}

at::Tensor UNetBlock::run_middle(const at::Tensor& x, const UNetCall& call) const {
  const auto type = call.arithmetic();
  return resnets[1](transformers[0](resnets[0](x, call.time, type), call), call.time, type);
}

at::Tensor UNetBlock::run_up(const at::Tensor& x, const std::vector<at::Tensor>& skips,
                             const UNetCall& call) const {
  at::Tensor h = x;
  for (size_t i = 0; i < resnets.size(); ++i) {
    h = resnets[i](at::cat({h, skips[i]}, 1), call.time, call.arithmetic());
    if (!transformers.empty()) h = transformers[i](h, call);
  }
  return h;
}

}  // namespace t3d::diffusion
