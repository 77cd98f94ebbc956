#pragma once

#include <optional>

#include "t3d/diffusion/layers.h"

namespace t3d::diffusion {

/// Residual block of the UNet and the autoencoder: norm, SiLU, 3x3 convolution, plus the time embedding,
/// norm, SiLU, 3x3 convolution, plus the input (through a 1x1 convolution where the channels differ). In a
/// new model the second convolution is zero, so that the block starts as its shortcut.
struct ResnetBlock {
  /// n_time 0: without time embedding.
  ResnetBlock(const Weights& w, int64_t n_in, int64_t n_out, int64_t n_time, int64_t n_groups, double eps);
  /// x [B,in,H,W]; time [B,n_time], SiLU applied already, undefined without -> [B,out,H,W] in x's type.
  /// The convolutions are computed in `arithmetic`.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& time, at::ScalarType arithmetic = kSame) const;
  void pack();

  GroupNorm norm1;
  Conv2d conv1;
  std::optional<Linear> time_emb_proj;
  GroupNorm norm2;
  Conv2d conv2;
  std::optional<Conv2d> conv_shortcut;
};

/// Every pixel four times: [B,C,H,W] -> [B,C,2H,2W], in the layout of in_layout.
at::Tensor doubled(const at::Tensor& x);

}  // namespace t3d::diffusion
