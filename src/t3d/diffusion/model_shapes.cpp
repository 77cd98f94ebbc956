#include "t3d/diffusion/model_shapes.h"

#include "t3d/core/text.h"

namespace t3d::diffusion {
namespace {

struct Table {
  TensorTable tensors;

  void linear(const std::string& name, int64_t in, int64_t out, bool has_bias = true) {
    tensors[name + ".weight"] = {{out, in}, Init::FanIn};
    if (has_bias) tensors[name + ".bias"] = {{out}, Init::Zero};
  }
  void conv(const std::string& name, int64_t in, int64_t out, int64_t size) {
    tensors[name + ".weight"] = {{out, in, size, size}, Init::FanIn};
    tensors[name + ".bias"] = {{out}, Init::Zero};
  }
  void norm(const std::string& name, int64_t n) {
    tensors[name + ".weight"] = {{n}, Init::One};
    tensors[name + ".bias"] = {{n}, Init::Zero};
  }
  /// `time` is 0 for the VAE's blocks, which see no time embedding.
  void resnet(const std::string& name, int64_t in, int64_t out, int64_t time) {
    norm(name + ".norm1", in);
    conv(name + ".conv1", in, out, 3);
    if (time > 0) linear(name + ".time_emb_proj", time, out);
    norm(name + ".norm2", out);
    conv(name + ".conv2", out, out, 3);
    if (in != out) conv(name + ".conv_shortcut", in, out, 1);
  }
  void attention(const std::string& name, int64_t n, int64_t context) {
    linear(name + ".to_q", n, n, false);
    linear(name + ".to_k", context, n, false);
    linear(name + ".to_v", context, n, false);
    linear(name + ".to_out.0", n, n);
  }
  void transformer(const std::string& name, int64_t n, const UNetConfig& config, int64_t depth) {
    norm(name + ".norm", n);
    for (const char* end : {".proj_in", ".proj_out"}) {
      if (config.linear_projection) {
        linear(name + end, n, n);
      } else {
        conv(name + end, n, n, 1);
      }
    }
    for (int64_t i = 0; i < depth; ++i) {
      const std::string block = cat(name, ".transformer_blocks.", i);
      for (const char* end : {".norm1", ".norm2", ".norm3"}) norm(block + end, n);
      attention(block + ".attn1", n, n);
      attention(block + ".attn2", n, config.text_channels);
      linear(block + ".ff.net.0.proj", n, 8 * n);
      linear(block + ".ff.net.2", 4 * n, n);
    }
  }
  void vae_middle(const std::string& name, int64_t n) {
    resnet(name + ".resnets.0", n, n, 0);
    resnet(name + ".resnets.1", n, n, 0);
    const std::string attention = name + ".attentions.0";
    norm(attention + ".group_norm", n);
    for (const char* end : {".to_q", ".to_k", ".to_v", ".to_out.0"}) linear(attention + end, n, n);
  }
};

}  // namespace

TensorTable unet_tensors(const UNetConfig& config) {
  Table table;
  const auto& channels = config.block_channels;
  const int64_t time = config.time_channels();
  const size_t n = channels.size();
  table.linear("time_embedding.linear_1", channels[0], time);
  table.linear("time_embedding.linear_2", time, time);
  if (config.camera_inputs > 0) {
    table.linear("camera_embedding.linear_1", config.camera_inputs, time);
    table.linear("camera_embedding.linear_2", time, time);
  }
  table.conv("conv_in", config.in_channels, channels[0], 3);
  std::vector<int64_t> skips{channels[0]};  // channels of what the way up is given
  int64_t now = channels[0];
  for (size_t level = 0; level < n; ++level) {
    const std::string block = cat("down_blocks.", level);
    for (int64_t i = 0; i < config.layers_per_block; ++i) {
      table.resnet(cat(block, ".resnets.", i), now, channels[level], time);
      now = channels[level];
      if (config.has_attention[level])
        table.transformer(cat(block, ".attentions.", i), now, config, config.transformer_depth[level]);
      skips.push_back(now);
    }
    if (level + 1 < n) {
      table.conv(block + ".downsamplers.0.conv", now, now, 3);
      skips.push_back(now);
    }
  }
  table.resnet("mid_block.resnets.0", now, now, time);
  table.transformer("mid_block.attentions.0", now, config, config.transformer_depth[n - 1]);
  table.resnet("mid_block.resnets.1", now, now, time);
  for (size_t up = 0; up < n; ++up) {
    const size_t level = n - 1 - up;
    const std::string block = cat("up_blocks.", up);
    for (int64_t i = 0; i <= config.layers_per_block; ++i) {
      table.resnet(cat(block, ".resnets.", i), now + skips.back(), channels[level], time);
      skips.pop_back();
      now = channels[level];
      if (config.has_attention[level])
        table.transformer(cat(block, ".attentions.", i), now, config, config.transformer_depth[level]);
    }
    if (level > 0) table.conv(block + ".upsamplers.0.conv", now, now, 3);
  }
  table.norm("conv_norm_out", channels[0]);
  table.conv("conv_out", channels[0], config.out_channels, 3);
  return table.tensors;
}

TensorTable vae_tensors(const VaeShape& shape) {
  Table table;
  const auto& channels = shape.channels;
  const size_t n = channels.size();
  const int64_t deepest = channels.back(), latents = shape.latents;
  table.conv("encoder.conv_in", shape.images, channels[0], 3);
  int64_t now = channels[0];
  for (size_t level = 0; level < n; ++level) {
    const std::string block = cat("encoder.down_blocks.", level);
    for (int64_t i = 0; i < shape.layers; ++i, now = channels[level])
      table.resnet(cat(block, ".resnets.", i), now, channels[level], 0);
    if (level + 1 < n) table.conv(block + ".downsamplers.0.conv", now, now, 3);
  }
  table.vae_middle("encoder.mid_block", deepest);
  table.norm("encoder.conv_norm_out", deepest);
  table.conv("encoder.conv_out", deepest, 2 * latents, 3);
  table.conv("quant_conv", 2 * latents, 2 * latents, 1);
  table.conv("post_quant_conv", latents, latents, 1);
  table.conv("decoder.conv_in", latents, deepest, 3);
  table.vae_middle("decoder.mid_block", deepest);
  now = deepest;
  for (size_t up = 0; up < n; ++up) {
    const std::string block = cat("decoder.up_blocks.", up);
    const int64_t wide = channels[n - 1 - up];
    for (int64_t i = 0; i <= shape.layers; ++i, now = wide)
      table.resnet(cat(block, ".resnets.", i), now, wide, 0);
    if (up + 1 < n) table.conv(block + ".upsamplers.0.conv", now, now, 3);
  }
  table.norm("decoder.conv_norm_out", channels[0]);
  table.conv("decoder.conv_out", channels[0], shape.images, 3);
  return table.tensors;
}

TensorTable text_tensors(const TextShape& shape) {
  Table table;
  const int64_t n = shape.width;
  table.tensors["text_model.embeddings.token_embedding.weight"] = {{shape.n_words, n}, Init::Normal};
  table.tensors["text_model.embeddings.position_embedding.weight"] = {{shape.n_places, n}, Init::Normal};
  for (int64_t i = 0; i < shape.n_layers; ++i) {
    const std::string layer = cat("text_model.encoder.layers.", i);
    table.norm(layer + ".layer_norm1", n);
    table.norm(layer + ".layer_norm2", n);
    for (const char* end : {".q_proj", ".k_proj", ".v_proj", ".out_proj"})
      table.linear(layer + ".self_attn" + end, n, n);
    table.linear(layer + ".mlp.fc1", n, shape.inner);
    table.linear(layer + ".mlp.fc2", shape.inner, n);
  }
  table.norm("text_model.final_layer_norm", n);
  return table.tensors;
}

}  // namespace t3d::diffusion
