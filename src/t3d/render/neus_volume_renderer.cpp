#include "t3d/render/neus_volume_renderer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "t3d/core/error.h"
#include "t3d/ops/composite.h"
#include "t3d/render/scene_samples.h"

namespace t3d::render {
namespace {

constexpr double kLeastSharp = 1e-6, kMostSharp = 1e6, kMostSharpDensity = 80;
constexpr double kRound = 1e-5;  // of quotients, the reference's

}  // namespace

at::Tensor neus_alpha(const at::Tensor& sdf, const at::Tensor& cosine, const at::Tensor& dt,
                      const at::Tensor& inv_std, double cos_anneal) {
  const auto c = -(at::relu(0.5 - 0.5 * cosine) * (1 - cos_anneal) + at::relu(-cosine) * cos_anneal);  // [N]
  const auto half = c * dt * 0.5;
  const auto p = at::sigmoid((sdf - half) * inv_std), q = at::sigmoid((sdf + half) * inv_std);
  return ((p - q + kRound) / (p + kRound)).clamp(0, 1);
}

at::Tensor volsdf_density(const at::Tensor& sdf, const at::Tensor& inv_std) {
  const auto s = inv_std.clamp(0, kMostSharpDensity);
  return s * (0.5 + 0.5 * sdf.sign() * at::expm1(-sdf.abs() * s));
}

NeusVolumeRenderer::NeusVolumeRenderer(const Config& config, const Scene& scene,
                                       const field::BuildContext& context)
    : config_(config),
      scene_(scene),
      field_(field::need_distance(*scene.geometry, "neus-volume-renderer",
                                  "renderer_type=nerf-volume-renderer")),
      sampler_(config, context) {
  if (config.estimator == "importance" && !config.use_volsdf)
    throw UserError(
        "renderer.estimator is importance, which places samples by a density. Set renderer.use_volsdf=true, "
        "or use occgrid.");
  variance_ = field::learned(at::full({}, config.learned_variance_init, at::kFloat).to(context.device));
  update_step(0);
}

at::Tensor NeusVolumeRenderer::inv_std() const {
  return (10 * variance_).exp().clamp(kLeastSharp, kMostSharp);
}

bool NeusVolumeRenderer::makes(const std::string& field) const {
  return field != "z_variance" && field != "comp_normal" && field != "normal_perturb" &&
         field != "geometry.density" && field != "mesh_vertices" && field != "mesh_faces";
}

FieldProbe NeusVolumeRenderer::probe() const {
  const auto sdf = [this](const at::Tensor& x) { return field_.distance_at(x).reshape({-1}); };
  const auto density = [=](const at::Tensor& x) { return volsdf_density(sdf(x), inv_std()); };
  const double step = sampler_.step_size();
  // As if every ray met the surface head on: of no sample the opacity is higher.
  const auto opacity = [=](const at::Tensor& x) {
    if (config_.use_volsdf) return (density(x) * step).clamp_max(1);
    const auto here = sdf(x);
    return neus_alpha(here, at::full_like(here, -1), at::full_like(here, step), inv_std(), 1);
  };
  return {opacity, opacity, density};
}

void NeusVolumeRenderer::update_step(int64_t step) {
  cos_anneal_ =
      config_.cos_anneal_end_steps == 0
          ? 1
          : std::min(1.0, static_cast<double>(step) / static_cast<double>(config_.cos_anneal_end_steps));
}

void NeusVolumeRenderer::update_grid(int64_t step) {
  sampler_.update_grid(step, probe());
}

RenderOutput NeusVolumeRenderer::operator()(const RenderRequest& request, bool is_training, Rng& rng) {
  const c10::AutoGradMode gradients(is_training && c10::GradMode::is_enabled());
  const Rays& rays = request.rays();
  const auto placed = sampler_.sample(rays.origins.reshape({-1, 3}), rays.directions.reshape({-1, 3}),
                                      probe(), is_training && config_.randomized, rng);
  Rng whole = request.image_draws.value_or(rng);
  Rng& draws = request.image_draws ? whole : rng;
  const SceneSamples s = evaluate_samples(scene_, field_, request, placed, /*with_normals=*/true,
                                          config_.eval_chunk_size, is_training, draws);
  const auto sharpness = inv_std();
  const auto sdf = s.geometry.sdf.reshape({-1});  // [N]
  const auto alpha = config_.use_volsdf ? (volsdf_density(sdf, sharpness) * s.at.dt).clamp_max(1)
                                        : neus_alpha(sdf, (s.geometry.normal * s.t_dirs).sum(-1), s.at.dt,
                                                     sharpness, cos_anneal_);
  const auto weights = ops::weights_from_alpha(alpha, s.at.ray_start).weights;  // [N]
  RenderOutput out = composite_samples(scene_, request, s, weights, is_training, draws);
  out.inv_std = sharpness;
  if (!is_training) out.comp_normal = normal_picture(s, weights, out.opacity);
  return out;
}

void NeusVolumeRenderer::collect(const std::string& prefix, field::NamedTensors& parameters,
                                 field::NamedTensors& buffers) const {
  parameters.emplace(prefix + "variance._inv_std", variance_);
  sampler_.collect(prefix + "estimator.", buffers);
}

}  // namespace t3d::render
