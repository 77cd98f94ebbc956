#include "t3d/diffusion/resnet.h"

#include <ATen/ATen.h>

namespace t3d::diffusion {

ResnetBlock::ResnetBlock(const Weights& w, int64_t n_in, int64_t n_out, int64_t n_time, int64_t n_groups,
                         double eps)
    : norm1(w.at("norm1"), n_in, n_groups, eps),
      conv1(w.at("conv1"), n_in, n_out),
      norm2(w.at("norm2"), n_out, n_groups, eps),
      conv2(w.at("conv2"), n_out, n_out, {3, 1, 1}, true, Init::Zero) {
  if (n_time > 0) time_emb_proj.emplace(w.at("time_emb_proj"), n_time, n_out);
  if (n_in != n_out) conv_shortcut.emplace(w.at("conv_shortcut"), n_in, n_out, Conv2d::Shape{1, 1, 0});
}

at::Tensor ResnetBlock::operator()(const at::Tensor& x, const at::Tensor& time) const {
  auto h = conv1(norm1.with_silu(x));  // [B,out,H,W]
  if (time_emb_proj) h = h + (*time_emb_proj)(time).unsqueeze(-1).unsqueeze(-1);
  h = conv2(norm2.with_silu(h));
  return (conv_shortcut ? (*conv_shortcut)(x) : x) + h;
}

at::Tensor doubled(const at::Tensor& x) {
  if (x.is_cuda()) return at::upsample_nearest2d(x, {2 * x.size(2), 2 * x.size(3)});  // keeps the layout
  const int64_t b = x.size(0), c = x.size(1), h = x.size(2), w = x.size(3);
  return x.reshape({b, c, h, 1, w, 1}).expand({b, c, h, 2, w, 2}).reshape({b, c, 2 * h, 2 * w});
}

}  // namespace t3d::diffusion
