#include "t3d/render/nerf_volume_renderer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "t3d/core/error.h"
#include "t3d/ops/composite.h"
#include "t3d/render/scene_samples.h"

namespace t3d::render {

NerfVolumeRenderer::NerfVolumeRenderer(const Config& config, const Scene& scene,
                                       const field::BuildContext& context)
    : config_(config), scene_(scene), sampler_(config, context) {
  if (config.estimator == "proposal")
    throw UserError(
        "renderer.estimator is proposal, which is not built yet. Use occgrid, or importance with near_plane "
        "and far_plane.");
  if (scene.geometry->is_signed_distance())
    throw UserError(
        "nerf-volume-renderer shows densities, but the geometry is a signed distance. Use "
        "renderer_type=neus-volume-renderer, or geometry_type=implicit-volume.");
}

FieldProbe NerfVolumeRenderer::probe() const {
  const auto density = [this](const at::Tensor& x) { return scene_.geometry->density(x).reshape({-1}); };
  const double step = sampler_.step_size();
  return {[=](const at::Tensor& x) { return density(x) * step; },
          [=](const at::Tensor& x) { return 1 - at::exp(-density(x) * step); }, density};
}

void NerfVolumeRenderer::update_grid(int64_t step) {
  sampler_.update_grid(step, probe());
}

RenderOutput NerfVolumeRenderer::operator()(const RenderRays& rays, bool is_training, Rng& rng) {
  const c10::AutoGradMode gradients(is_training && c10::GradMode::is_enabled());
  const auto placed = sampler_.sample(rays.origins.reshape({-1, 3}), rays.directions.reshape({-1, 3}),
                                      probe(), is_training && config_.randomized, rng);
  Rng whole = rays.picture_draws.value_or(rng);
  Rng& draws = rays.picture_draws ? whole : rng;
  const SceneSamples s = evaluate_samples(scene_, rays, placed, scene_.material->requires_normal(),
                                          config_.eval_chunk_size, is_training, draws);
  const auto weights =
      ops::weights_from_density(s.geometry.density.reshape({-1}), s.at.dt, s.at.ray_start).weights;  // [N]
  RenderOutput out = composite_samples(scene_, rays, s, weights, is_training, draws);
  out.z_variance = ops::z_variance(weights, s.at.t, out.opacity.reshape({-1, 1}), s.at.ray_start)
                       .reshape(out.opacity.sizes());

  const at::Tensor& normal = s.geometry.normal;
  if (normal.defined() && (!is_training || config_.return_comp_normal))
    out.comp_normal = normal_picture(s, weights, out.opacity);
  if (is_training && normal.defined() && config_.return_normal_perturb) {
    auto moves = at::empty(s.points.sizes(), at::kFloat);
    for (int64_t i = 0; i < moves.numel(); ++i) moves.data_ptr<float>()[i] = 0.01f * rng.normal();
    out.normal_perturb = (*scene_.geometry)(s.points + moves.to(s.points.device()), true).normal;
  }
  return out;
}

void NerfVolumeRenderer::collect(const std::string& prefix, field::NamedTensors&,
                                 field::NamedTensors& buffers) const {
  sampler_.collect(prefix + "estimator.", buffers);
}

}  // namespace t3d::render
