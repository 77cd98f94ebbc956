#include "t3d/render/patch_renderer.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "t3d/core/error.h"

namespace t3d::render {
namespace {

constexpr uint64_t kPictureStream = uint64_t{1} << 40;

/// [B,H,W,C] to another size.
at::Tensor resized(const at::Tensor& picture, int64_t height, int64_t width) {
  return at::upsample_bilinear2d(picture.permute({0, 3, 1, 2}), {height, width}, /*align_corners=*/false)
      .permute({0, 2, 3, 1});
}

/// What `part` makes of the tensors that go with pixels.
template <class Part>
RenderRays part_of(RenderRays rays, const Part& part) {
  rays.origins = part(rays.origins);
  rays.directions = field::unit_rows(part(rays.directions));
  if (rays.background.defined() && rays.background.dim() == 4) rays.background = part(rays.background);
  return rays;
}

}  // namespace

PatchRenderer::PatchRenderer(const Config& config, const Scene& scene, const field::BuildContext& context)
    : config_(config) {
  if (config.base_renderer_type == "patch-renderer")
    throw UserError("renderer.base_renderer_type is patch-renderer itself. Use nerf-volume-renderer.");
  base_ = renderers().make(config.base_renderer_type, config.base_renderer, "system.renderer.base_renderer",
                           scene, context);
}

RenderOutput PatchRenderer::operator()(const RenderRays& rays, bool is_training, Rng& rng) {
  if (!is_training) return (*base_)(rays, is_training, rng);
  const int64_t H = rays.origins.size(1), W = rays.origins.size(2);
  const int64_t height = std::min(config_.patch_size, H), width = std::min(config_.patch_size, W);
  const auto y = static_cast<int64_t>(rng.below(static_cast<uint32_t>(H - height + 1)));
  const auto x = static_cast<int64_t>(rng.below(static_cast<uint32_t>(W - width + 1)));
  const auto patch_of = [&](const at::Tensor& t) { return t.narrow(1, y, height).narrow(2, x, width); };

  RenderRays all = rays;
  if (!all.picture_draws)  // one light and one background for both
    all.picture_draws = Rng(rng.state()[0], rng.state()[1] ^ kPictureStream);
  const int64_t small_height = std::max<int64_t>(1, H / config_.global_downsample);
  const int64_t small_width = std::max<int64_t>(1, W / config_.global_downsample);
  RenderOutput out = (*base_)(
      part_of(all, [&](const at::Tensor& t) { return resized(t, small_height, small_width); }), true, rng);
  RenderOutput patch = (*base_)(part_of(all, patch_of), true, rng);

  const auto whole = pictures_of(out), detail = pictures_of(patch);
  for (size_t i = 0; i < whole.size(); ++i) {
    if (!whole[i]->defined()) continue;
    auto large = resized(*whole[i], H, W);
    if (config_.global_detach) large = large.detach();
    large = large.clone();
    patch_of(large).copy_(*detail[i]);
    *whole[i] = large;
  }
  return out;
}

std::optional<OwnLearning> PatchRenderer::own_learning() const {
  auto own = base_->own_learning();
  if (!own) return own;
  field::NamedTensors named;
  for (const auto& [name, tensor] : own->parameters) named.emplace("base_renderer." + name, tensor);
  own->parameters = named;
  return own;
}

at::Tensor PatchRenderer::take_own_loss() {
  return base_->take_own_loss();
}

void PatchRenderer::drop_own_loss() {
  base_->drop_own_loss();
}

void PatchRenderer::update_step(int64_t step) {
  base_->update_step(step);
}

void PatchRenderer::update_grid(int64_t step) {
  base_->update_grid(step);
}

void PatchRenderer::collect(const std::string& prefix, field::NamedTensors& parameters,
                            field::NamedTensors& buffers) const {
  base_->collect(prefix + "base_renderer.", parameters, buffers);
}

}  // namespace t3d::render
