#include "t3d/diffusion/resnet.h"

#include <ATen/ATen.h>

#include "t3d/ops/packed_weight.h"

namespace t3d::diffusion {

ResnetBlock::ResnetBlock(const Weights& w, int64_t n_in, int64_t n_out, int64_t n_time, int64_t n_groups,
                         double eps)
    : norm1(w.at("norm1"), n_in, n_groups, eps),
      conv1(w.at("conv1"), n_in, n_out),
      norm2(w.at("norm2"), n_out, n_groups, eps),
      conv2(w.at("conv2"), n_out, n_out, {3, 1, 1}, true, Init::Zero) {
  if (n_time > 0) time_emb_proj.emplace(in_sum_type(w.at("time_emb_proj")), n_time, n_out);
  if (n_in != n_out) conv_shortcut.emplace(w.at("conv_shortcut"), n_in, n_out, Conv2d::Shape{1, 1, 0});
}

at::Tensor ResnetBlock::operator()(const at::Tensor& x, const at::Tensor& time, at::ScalarType wanted) const {
  const at::ScalarType arithmetic = wanted == kSame ? x.scalar_type() : wanted;
  const auto of_time = time_emb_proj ? (*time_emb_proj)(time) : at::Tensor();              // [B,out]
  const auto h = conv1.after(norm1, x, arithmetic, {of_time, {}});                         // [B,out,H,W]
  const auto shortcut = conv_shortcut ? conv_shortcut->of_rounded(x, arithmetic, {}) : x;  // [B,out,H,W]
  return conv2.after(norm2, h, arithmetic, {{}, shortcut});
}

void ResnetBlock::pack() {
  conv1.pack();
  conv2.pack();
  if (conv_shortcut) conv_shortcut->pack();
}

at::Tensor doubled(const at::Tensor& x) {
  if (x.is_cuda()) return at::upsample_nearest2d(x, {2 * x.size(2), 2 * x.size(3)});  // keeps the layout
  const int64_t b = x.size(0), c = x.size(1), h = x.size(2), w = x.size(3);
  if (ops::packs(x) && x.is_contiguous(at::MemoryFormat::ChannelsLast))
    return x
        .permute({0, 2, 3, 1})
        .reshape({b, h, 1, w, 1, c})
        .expand({b, h, 2, w, 2, c})
        .reshape({b, 2 * h, 2 * w, c})
        .permute({0, 3, 1, 2});
  return x.reshape({b, c, h, 1, w, 1}).expand({b, c, h, 2, w, 2}).reshape({b, c, 2 * h, 2 * w});
}

}  // namespace t3d::diffusion
