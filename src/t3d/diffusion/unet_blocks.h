#pragma once

#include <optional>
#include <string>
#include <vector>

#include "t3d/diffusion/resnet.h"
#include "t3d/diffusion/unet_config.h"

namespace t3d::diffusion {

class Lora;

/// What every block of one UNet call sees besides its own input.
struct UNetCall {
  at::Tensor time;  // [B,time_channels], SiLU applied, in the pictures' type
  at::Tensor text;  // [B,T,text_channels], in the type to multiply in
  int64_t n_views = 1;
  const Lora* lora = nullptr;
  double lora_scale = 1;

  at::ScalarType arithmetic() const { return text.scalar_type(); }
};

/// One multi-head attention with its projections, and LoRA on each of them.
struct AttentionLayer {
  AttentionLayer(const Weights& w, int64_t n_channels, int64_t n_context, int64_t n_heads);
  /// x [B,N,C], context [B,M,n_context], residual [B,N,C] -> [B,N,C], the residual added
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& context, const at::Tensor& residual,
                        const UNetCall& call) const;
  void pack();

  Linear to_q, to_k, to_v, to_out;
  std::string name_q, name_k, name_v, name_out;  // LoRA sites
  int64_t n_heads;
};

/// Attention among the tokens (of all views of an object together), attention to the text, GEGLU MLP.
struct TransformerBlock {
  TransformerBlock(const Weights& w, int64_t n_channels, int64_t n_text, int64_t n_heads);
  at::Tensor operator()(const at::Tensor& x, const UNetCall& call) const;
  void pack();

  LayerNorm norm1, norm2, norm3;
  AttentionLayer attn1, attn2;
  Linear ff_in, ff_out;
};

/// A picture as tokens through transformer blocks, added to the picture. proj_out starts as zero.
struct SpatialTransformer {
  SpatialTransformer(const Weights& w, const UNetConfig& config, size_t level);
  at::Tensor operator()(const at::Tensor& x, const UNetCall& call) const;
  void pack();

  GroupNorm norm;
  Linear proj_in, proj_out;
  std::vector<TransformerBlock> blocks;
};

/// One level of either side: residual blocks, each followed by a transformer where the level has attention,
/// then a convolution that halves or doubles the size.
struct UNetBlock {
  std::vector<ResnetBlock> resnets;
  std::vector<SpatialTransformer> transformers;  // none, or as many as resnets
  std::optional<Conv2d> sampler;
  std::string name;                    // full name: "down_blocks.0"
  std::vector<at::Tensor> parameters;  // all of the block's, for recomputation

  static UNetBlock down(const Weights& w, const UNetConfig& config, size_t level);
  static UNetBlock middle(const Weights& w, const UNetConfig& config);
  /// level counts from the outermost; the weights' own count is the other way round.
  static UNetBlock up(const Weights& w, const UNetConfig& config, size_t level);

  /// Returns what each layer gave, in order: the skips. The last one goes on.
  std::vector<at::Tensor> run_down(const at::Tensor& x, const UNetCall& call) const;
  at::Tensor run_middle(const at::Tensor& x, const UNetCall& call) const;
  /// skips: one per residual block, in the order of use.
  at::Tensor run_up(const at::Tensor& x, const std::vector<at::Tensor>& skips, const UNetCall& call) const;
  void pack();
};

}  // namespace t3d::diffusion
