#include "t3d/render/nerf_volume_renderer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "t3d/core/error.h"
#include "t3d/ops/composite.h"
#include "t3d/ops/importance.h"
#include "t3d/render/scene_samples.h"

namespace t3d::render {

NerfVolumeRenderer::NerfVolumeRenderer(const Config& config, const Scene& scene,
                                       const field::BuildContext& context)
    : config_(config),
      scene_(scene),
      field_(
          field::need_density(*scene.geometry, "nerf-volume-renderer", "renderer_type=neus-volume-renderer")),
      sampler_(config, context) {
  if (config.estimator != "proposal") return;
  if (config.proposal_network_config.is_null() || config.prop_optimizer_config.is_null())
    throw UserError(
        "renderer.estimator is proposal, which needs proposal_network_config (encoding_config and "
        "network_config) and prop_optimizer_config. Give both, or use occgrid.");
  proposal_ =
      std::make_unique<Proposal>(config::read_struct<Proposal::Config>(config.proposal_network_config,
                                                                       "renderer.proposal_network_config"),
                                 config, config.num_samples_per_ray_proposal, context);
}

bool NerfVolumeRenderer::makes(const std::string& field) const {
  const bool has_normals = scene_.material->requires_normal();
  if (field == "comp_normal") return has_normals && config_.return_comp_normal;
  if (field == "normal_perturb") return has_normals && config_.return_normal_perturb;
  if (field == "geometry.normal" || field == "geometry.shading_normal") return has_normals;
  return field != "geometry.sdf" && field != "geometry.sdf_grad" && field != "inv_std" &&
         field != "mesh_vertices" && field != "mesh_faces";
}

FieldProbe NerfVolumeRenderer::probe() const {
  const auto density = [this](const at::Tensor& x) { return field_.density_at(x).reshape({-1}); };
  const double step = sampler_.step_size();
  return {[=](const at::Tensor& x) { return density(x) * step; },
          [=](const at::Tensor& x) { return 1 - at::exp(-density(x) * step); }, density};
}

void NerfVolumeRenderer::update_grid(int64_t step) {
  if (!proposal_) sampler_.update_grid(step, probe());
}

void NerfVolumeRenderer::update_step(int64_t step) {
  drop_own_loss();
  if (proposal_) proposal_->update_step(step);
}

std::optional<OwnLearning> NerfVolumeRenderer::own_learning() const {
  if (!proposal_) return std::nullopt;
  OwnLearning own;
  field::NamedTensors buffers;
  proposal_->collect("prop_net.", own.parameters, buffers);
  own.optimizer = config_.prop_optimizer_config, own.scheduler = config_.prop_scheduler_config;
  return own;
}

at::Tensor NerfVolumeRenderer::take_own_loss() {
  if (own_losses_.empty()) return {};
  const auto mean = at::stack(own_losses_).mean();
  own_losses_.clear();
  return mean;
}

void NerfVolumeRenderer::drop_own_loss() {
  own_losses_.clear();
}

RenderOutput NerfVolumeRenderer::operator()(const RenderRequest& request, bool is_training, Rng& rng) {
  const c10::AutoGradMode gradients(is_training && c10::GradMode::is_enabled());
  const Rays& rays = request.rays();
  const auto o = rays.origins.reshape({-1, 3}), d = rays.directions.reshape({-1, 3});  // [R,3]
  const bool is_random = is_training && config_.randomized;
  const bool learns = proposal_ && proposal_->learns() && c10::GradMode::is_enabled();
  ProposedSamples proposed;
  if (proposal_) proposed = proposal_->sample(o, d, learns, is_random, rng);
  const auto placed = proposal_ ? proposed.at : sampler_.sample(o, d, probe(), is_random, rng);
  Rng whole = request.image_draws.value_or(rng);
  Rng& draws = request.image_draws ? whole : rng;
  const SceneSamples s = evaluate_samples(scene_, field_, request, placed, scene_.material->requires_normal(),
                                          config_.eval_chunk_size, is_training, draws);
  const auto seen = ops::weights_from_density(s.geometry.density.reshape({-1}), s.at.dt, s.at.ray_start);
  const at::Tensor& weights = seen.weights;  // [N]
  if (learns) {
    const auto cdf = ops::cdf_from_transmittance(seen.transmittance.detach().reshape({o.size(0), -1}));
    own_losses_.push_back(proposal_loss(proposed.edges, cdf, proposed.first_edges, proposed.first_cdf));
  }
  RenderOutput out = composite_samples(scene_, request, s, weights, is_training, draws);
  out.z_variance = ops::z_variance(weights, s.at.t, out.opacity.reshape({-1, 1}), s.at.ray_start)
                       .reshape(out.opacity.sizes());

  const at::Tensor& normal = s.geometry.normal;
  if (normal.defined() && (!is_training || config_.return_comp_normal))
    out.comp_normal = normal_picture(s, weights, out.opacity);
  if (is_training && normal.defined() && config_.return_normal_perturb) {
    auto moves = at::empty(s.points.sizes(), at::kFloat);
    for (int64_t i = 0; i < moves.numel(); ++i) moves.data_ptr<float>()[i] = 0.01f * rng.normal();
    out.normal_perturb = field_.samples_at(s.points + moves.to(s.points.device()), true).normal;
  }
  return out;
}

void NerfVolumeRenderer::collect(const std::string& prefix, field::NamedTensors& parameters,
                                 field::NamedTensors& buffers) const {
  if (proposal_) return proposal_->collect(prefix + "prop_net.", parameters, buffers);
  sampler_.collect(prefix + "estimator.", buffers);
}

}  // namespace t3d::render
