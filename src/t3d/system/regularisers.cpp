#include "t3d/system/regularisers.h"

#include <ATen/ATen.h>

#include "t3d/core/error.h"

namespace t3d::system {

at::Tensor orientation_loss(const render::RenderOutput& out) {
  if (!out.geometry.normal.defined())
    throw UserError(
        "system.loss.lambda_orient is above 0, but the rendering has no normals. Use a material that needs "
        "them (requires_normal: true), or set lambda_orient to 0.");
  const auto facing = (out.geometry.normal * out.t_dirs).sum(-1, true).clamp_min(0);  // [N,1]
  const auto n_pixels = (out.opacity > 0).sum().clamp_min(1);
  return (out.weights.detach() * facing.square()).sum() / n_pixels;
}

at::Tensor sparsity_loss(const at::Tensor& opacity) {
  return (opacity.square() + 0.01).sqrt().mean();
}

at::Tensor opaque_loss(const at::Tensor& opacity) {
  const auto o = opacity.clamp(1e-3, 1 - 1e-3);
  return -(o * o.log() + (1 - o) * (1 - o).log()).mean();
}

at::Tensor z_variance_loss(const at::Tensor& z_variance, const at::Tensor& opacity) {
  const auto counts = (opacity > 0.5).to(z_variance.scalar_type());
  return (z_variance * counts).sum() / counts.sum().clamp_min(1);
}

at::Tensor eikonal_loss(const render::RenderOutput& out) {
  const auto off = (out.geometry.sdf_grad.norm(2, at::IntArrayRef{-1}, true) - 1).square();  // [N,1]
  const auto counts = out.t_intervals > 0;
  return at::where(counts, off, at::zeros_like(off)).sum() / counts.sum().clamp_min(1);
}

at::Tensor emptiness_loss(const at::Tensor& weights, double scale) {
  return at::log1p(scale * weights).mean();
}

at::Tensor centre_depth_loss(const at::Tensor& depth, const at::Tensor& opacity, double centre_ratio) {
  const auto d = depth + 10 * (1 - opacity);  // [B,H,W,1]
  const int64_t h = d.size(1), w = d.size(2);
  const auto ch = static_cast<int64_t>(centre_ratio * static_cast<double>(h));
  const auto cw = static_cast<int64_t>(centre_ratio * static_cast<double>(w));
  auto inside = at::zeros({1, h, w, 1}, d.options());
  inside.narrow(1, (h - ch) / 2, ch).narrow(2, (w - cw) / 2, cw).fill_(1);
  const auto mean_of = [&](const at::Tensor& mask) {
    return (d * mask).sum() / (mask.sum() * d.size(0)).clamp_min(1);
  };
  const auto x = mean_of(inside) - mean_of(1 - inside) + 1e-12;
  // The reference takes log(x), which is no number for the nearer middle that the term is there to reach.
  return x.sign().detach() * x.abs().clamp_min(1e-12).log();
}

}  // namespace t3d::system
