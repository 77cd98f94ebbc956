#include "t3d/render/nerf_volume_renderer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "t3d/ops/composite.h"
#include "t3d/ops/importance.h"

namespace t3d::render {
namespace {

constexpr int kGridSide = 32;
constexpr double kMinTransmittance = 1e-4, kMaxAlphaThreshold = 0.01;

at::Tensor uniforms(int64_t n, const at::Tensor& like, Rng& rng) {
  auto u = at::empty({n}, at::kFloat);
  for (int64_t i = 0; i < n; ++i) u.data_ptr<float>()[i] = rng.uniform();
  return u.to(like.device());
}

/// body on parts of at most `chunk` rows, joined; one call, too, for no rows at all.
template <class Body>
at::Tensor in_chunks(const at::Tensor& rows, int64_t chunk, const Body& body) {
  const int64_t n = rows.size(0);
  if (chunk <= 0 || n <= chunk) return body(rows);
  std::vector<at::Tensor> parts;
  for (int64_t begin = 0; begin < n; begin += chunk)
    parts.push_back(body(rows.slice(0, begin, begin + chunk)));
  return at::cat(parts);
}

at::Tensor unit(const at::Tensor& v) {
  return v / v.norm(2, at::IntArrayRef{-1}, true).clamp_min(1e-12);
}

/// The one sample of ray 0 that stands in where nothing is left: t = 0, no length.
ops::RaySamples dummy_sample(int64_t n_rays, const at::Tensor& like) {
  ops::RaySamples s;
  s.ray_start = at::ones({n_rays + 1}, like.options().dtype(at::kInt));
  s.ray_start[0] = 0;
  s.ray_indices = at::zeros({1}, like.options().dtype(at::kLong));
  s.t = at::zeros({1}, like.options());
  s.dt = at::zeros({1}, like.options());
  return s;
}

}  // namespace

NerfVolumeRenderer::NerfVolumeRenderer(const Config& config, const Scene& scene,
                                       const field::BuildContext& context)
    : config_(config), scene_(scene), seed_(context.part("estimator").seed), device_(context.device) {
  if (config.estimator == "proposal")
    throw UserError(
        "renderer.estimator is proposal, which is not built yet. Use occgrid, or importance with near_plane "
        "and "
        "far_plane.");
  if (config.estimator == "importance" && config.far_plane >= 1e10f)
    throw UserError("renderer.estimator is importance, which needs far_plane. Set near_plane and far_plane.");
  Box3f box;
  box.min = Vec3f::Constant(-config.radius), box.max = Vec3f::Constant(config.radius);
  grid_ = ops::OccupancyGrid::create(box, kGridSide);
  if (!config.grid_prune) grid_.fill(true);
}

void NerfVolumeRenderer::update_step(int64_t, int64_t step) {
  if (config_.estimator != "occgrid" || !config_.grid_prune) return;
  const c10::NoGradGuard no_grad;
  grid_.update(seed_, step, [this](const at::Tensor& points) {
    return (density_at(points.to(device_)) * step_size()).cpu();
  });
}

at::Tensor NerfVolumeRenderer::density_at(const at::Tensor& points) const {
  const c10::NoGradGuard no_grad;
  return in_chunks(points, config_.eval_chunk_size,
                   [this](const at::Tensor& p) { return scene_.geometry->density(p).reshape({-1}); });
}

ops::RaySamples NerfVolumeRenderer::by_importance(const at::Tensor& o, const at::Tensor& d, bool is_random,
                                                  Rng& rng) const {
  const c10::NoGradGuard no_grad;
  const int64_t n_rays = o.size(0);
  const auto ends = at::tensor({config_.near_plane, config_.far_plane}).to(o.device()).expand({n_rays, 2});
  const auto even = at::tensor({0.f, 1.f}).to(o.device()).expand({n_rays, 2});
  const auto jitter = [&] { return is_random ? uniforms(n_rays, o, rng) : at::Tensor(); };
  const auto coarse = ops::importance_resample(ends, even, config_.num_samples_per_ray_importance, jitter())
                          .intervals;  // [R,E]
  const auto low = coarse.slice(1, 0, -1), high = coarse.slice(1, 1);
  const auto middle = (low + high) / 2;  // [R,E-1]
  const auto points = o.unsqueeze(1) + d.unsqueeze(1) * middle.unsqueeze(-1);
  const auto sigma = density_at(points.reshape({-1, 3})).reshape(middle.sizes());
  const auto transmittance = ops::weights_from_density_batched(sigma, high - low).transmittance;
  const auto fine = ops::importance_resample(coarse, ops::cdf_from_transmittance(transmittance),
                                             config_.num_samples_per_ray, jitter())
                        .intervals;
  const auto edges = ops::merge_edges(coarse, fine);  // [R,K+1]
  const int64_t per_ray = edges.size(1) - 1;
  ops::RaySamples s;
  s.t = ((edges.slice(1, 0, -1) + edges.slice(1, 1)) / 2).reshape({-1});
  s.dt = (edges.slice(1, 1) - edges.slice(1, 0, -1)).reshape({-1});
  s.ray_start = (at::arange(n_rays + 1, o.options().dtype(at::kLong)) * per_ray).to(at::kInt);
  s.ray_indices = at::arange(n_rays, o.options().dtype(at::kLong)).repeat_interleave(per_ray);
  return s;
}

ops::RaySamples NerfVolumeRenderer::sample(const at::Tensor& o, const at::Tensor& d, bool is_random,
                                           Rng& rng) const {
  if (config_.estimator == "importance") return by_importance(o, d, is_random, rng);
  ops::LatticeConfig lattice;
  lattice.step = step_size();
  lattice.near_plane = config_.near_plane, lattice.far_plane = config_.far_plane;
  const auto jitter = is_random ? uniforms(o.size(0), o, rng) : at::Tensor();
  ops::RaySamples s = ops::sample_lattice(o, d, grid_, lattice, jitter);
  if (!config_.grid_prune || !config_.prune_alpha_threshold || s.n_samples() == 0) return s;
  const auto points =
      o.index_select(0, s.ray_indices) + d.index_select(0, s.ray_indices) * s.t.unsqueeze(1);  // [S,3]
  return ops::select_samples(s, ops::visible_samples(density_at(points), s.dt, s.ray_start, kMinTransmittance,
                                                     std::min(kMaxAlphaThreshold, grid_.mean())));
}

field::GeometryOutput NerfVolumeRenderer::evaluate(const at::Tensor& points, bool with_normals,
                                                   bool is_training) const {
  const int64_t n = points.size(0), chunk = config_.eval_chunk_size;
  if (is_training || chunk <= 0 || n <= chunk) return (*scene_.geometry)(points, with_normals);
  std::vector<at::Tensor> density, features, normal, shading_normal;
  const auto keep = [](std::vector<at::Tensor>& list, const at::Tensor& t) {
    if (t.defined()) list.push_back(t);
  };
  for (int64_t begin = 0; begin < n; begin += chunk) {
    const auto part = (*scene_.geometry)(points.slice(0, begin, begin + chunk), with_normals);
    keep(density, part.density);
    keep(features, part.features);
    keep(normal, part.normal);
    keep(shading_normal, part.shading_normal);
  }
  const auto join = [](const std::vector<at::Tensor>& list) {
    return list.empty() ? at::Tensor() : at::cat(list);
  };
  return {join(density), join(features), join(normal), join(shading_normal)};
}

RenderOutput NerfVolumeRenderer::operator()(const RenderRays& rays, bool is_training, Rng& rng) {
  const c10::AutoGradMode gradients(is_training && c10::GradMode::is_enabled());
  const int64_t B = rays.origins.size(0), H = rays.origins.size(1), W = rays.origins.size(2);
  const auto o = rays.origins.reshape({-1, 3}), d = rays.directions.reshape({-1, 3});  // [R,3]
  ops::RaySamples s = sample(o, d, is_training && config_.randomized, rng);
  if (s.n_samples() == 0) s = dummy_sample(o.size(0), o);

  RenderOutput out;
  out.t_dirs = d.index_select(0, s.ray_indices);                                  // [N,3]
  out.points = o.index_select(0, s.ray_indices) + out.t_dirs * s.t.unsqueeze(1);  // [N,3]
  out.geometry = evaluate(out.points, scene_.material->requires_normal(), is_training);

  shading::ShadingInput shade;
  shade.features = out.geometry.features;
  shade.positions = out.points;
  shade.shading_normal = out.geometry.shading_normal;
  if (rays.light_positions.defined())
    shade.light_positions = rays.light_positions.index_select(0, s.ray_indices.div(H * W, "floor"));  // [N,3]
  shade.is_training = is_training;
  if (is_training) shade.ambient_ratio = rays.ambient_ratio, shade.shading = rays.shading;
  const auto colour = (*scene_.material)(shade, rng);  // [N,C]
  const int64_t n_channels = colour.size(1);

  const auto weights =
      ops::weights_from_density(out.geometry.density.reshape({-1}), s.dt, s.ray_start).weights;
  const auto image = [&](const at::Tensor& per_ray) { return per_ray.reshape({B, H, W, -1}); };
  const auto opacity = ops::accumulate_along_rays(weights, {}, s.ray_start);  // [R,1]
  out.opacity = image(opacity);
  out.depth = image(ops::accumulate_along_rays(weights, s.t.unsqueeze(1), s.ray_start));
  out.z_variance = image(ops::z_variance(weights, s.t, opacity, s.ray_start));
  out.comp_rgb_fg = image(ops::accumulate_along_rays(weights, colour, s.ray_start));
  out.comp_rgb_bg =
      rays.background.defined() ? rays.background : (*scene_.background)(rays.directions, is_training, rng);
  if (out.comp_rgb_bg.dim() == 2) out.comp_rgb_bg = out.comp_rgb_bg.reshape({B, 1, 1, -1});
  if (out.comp_rgb_bg.size(-1) != n_channels)
    throw UserError(cat("the background has ", out.comp_rgb_bg.size(-1), " channels and the material ",
                        n_channels, ". Give both the same n_output_dims."));
  out.comp_rgb_bg = out.comp_rgb_bg.expand({B, H, W, n_channels});
  out.comp_rgb = out.comp_rgb_fg + out.comp_rgb_bg * (1 - out.opacity);

  const at::Tensor& normal = out.geometry.normal;
  if (normal.defined() && (!is_training || config_.return_comp_normal)) {
    const auto mean = unit(image(ops::accumulate_along_rays(weights, normal, s.ray_start)));
    out.comp_normal = (mean + 1) / 2 * out.opacity;
  }
  if (!is_training) {  // samples are for losses
    out.geometry = {};
    out.t_dirs = out.points = at::Tensor();
    return out;
  }
  if (normal.defined() && config_.return_normal_perturb) {
    auto moves = at::empty(out.points.sizes(), at::kFloat);
    for (int64_t i = 0; i < moves.numel(); ++i) moves.data_ptr<float>()[i] = 0.01f * rng.normal();
    out.normal_perturb = (*scene_.geometry)(out.points + moves.to(out.points.device()), true).normal;
  }
  out.weights = weights.unsqueeze(1);
  out.t_points = s.t.unsqueeze(1);
  out.t_intervals = s.dt.unsqueeze(1);
  out.ray_indices = s.ray_indices;
  return out;
}

void NerfVolumeRenderer::collect(const std::string& prefix, field::NamedTensors&,
                                 field::NamedTensors& buffers) const {
  buffers.emplace(prefix + "estimator.occs", grid_.occupancy);
  buffers.emplace(prefix + "estimator.binaries", grid_.binary);
}

const RendererRegistry& renderers() {
  using R = RendererRegistry;
  static const R table(
      "renderer", "from rays to images (system.renderer_type)",
      {R::entry<NerfVolumeRenderer>("nerf-volume-renderer", "emission and absorption of a density")});
  return table;
}

}  // namespace t3d::render
