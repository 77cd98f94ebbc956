#include "t3d/render/patch_renderer.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "t3d/core/error.h"

namespace t3d::render {
namespace {

constexpr uint64_t kImageStream = uint64_t{1} << 40;

}  // namespace

PatchRenderer::PatchRenderer(const Config& config, const Scene& scene, const field::BuildContext& context)
    : config_(config) {
  if (config.base_renderer_type == "patch-renderer")
    throw UserError("renderer.base_renderer_type is patch-renderer itself. Use nerf-volume-renderer.");
  base_ = renderers().make(config.base_renderer_type, config.base_renderer, "system.renderer.base_renderer",
                           scene, context);
  if (!base_->can_render_strips())
    throw UserError(cat("renderer.base_renderer_type is ", config.base_renderer_type,
                        ", which renders whole images alone. Name it as system.renderer_type itself."));
}

RenderOutput PatchRenderer::operator()(const RenderRequest& request, bool is_training, Rng& rng) {
  if (!is_training) return (*base_)(request, is_training, rng);
  const int64_t H = request.height(), W = request.width();
  Window patch{0, 0, std::min(config_.patch_size, H), std::min(config_.patch_size, W)};
  patch.y = static_cast<int64_t>(rng.below(static_cast<uint32_t>(H - patch.height + 1)));
  patch.x = static_cast<int64_t>(rng.below(static_cast<uint32_t>(W - patch.width + 1)));

  RenderRequest all = request;
  if (!all.image_draws)  // one light and one background for both
    all.image_draws = Rng(rng.state()[0], rng.state()[1] ^ kImageStream);
  const ImageSize small{std::max<int64_t>(1, H / config_.global_downsample),
                        std::max<int64_t>(1, W / config_.global_downsample)};
  RenderOutput out = (*base_)(all.resized(small).with_unit_rays(), true, rng);
  RenderOutput detail = (*base_)(all.part(patch).with_unit_rays(), true, rng);

  for (const OutputField& field : output_fields()) {
    if (field.of != FieldOf::Pixels || !field.in(out).defined()) continue;
    auto large = resized_images(field.in(out), {H, W});
    if (config_.global_detach) large = large.detach();
    large = large.clone();
    large.narrow(1, patch.y, patch.height).narrow(2, patch.x, patch.width).copy_(field.in(detail));
    field.in(out) = large;
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
