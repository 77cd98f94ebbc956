#include "t3d/render/volume.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <vector>

#include "t3d/core/error.h"
#include "t3d/ops/composite.h"

namespace t3d::render {
namespace {

constexpr double kMinTransmittance = 1e-4, kMinAlpha = 0.01;

struct Points {
  at::Tensor position, direction;  // [S,3]
};

Points points_of(const at::Tensor& origins, const at::Tensor& directions, const ops::RaySamples& samples) {
  const at::Tensor d = directions.index_select(0, samples.ray_indices);                   // [S,3]
  return {origins.index_select(0, samples.ray_indices) + samples.t.unsqueeze(1) * d, d};  // [S,3]
}

/// The field in pieces of `chunk` points, put together again.
field::FieldSample sample_in_chunks(const field::Field& field, const Points& points, int64_t chunk) {
  const int64_t n = points.position.size(0);
  if (n <= chunk) return field.sample(points.position, points.direction);
  std::vector<at::Tensor> density, colour, normal;
  for (int64_t first = 0; first < n; first += chunk) {
    const int64_t end = std::min(n, first + chunk);
    const field::FieldSample part =
        field.sample(points.position.slice(0, first, end), points.direction.slice(0, first, end));
    density.push_back(part.density);
    colour.push_back(part.colour);
    if (part.normal.defined()) normal.push_back(part.normal);
  }
  return {at::cat(density), at::cat(colour), normal.empty() ? at::Tensor() : at::cat(normal)};
}

/// One sample of length 0 on ray 0.
ops::RaySamples dummy_sample(int64_t n_rays) {
  ops::RaySamples out;
  out.ray_start = at::ones({n_rays + 1}, at::kInt);
  out.ray_start[0] = 0;
  out.ray_indices = at::zeros({1}, at::kLong);
  out.t = at::zeros({1}, at::kFloat);
  out.dt = at::zeros({1}, at::kFloat);
  return out;
}

}  // namespace

VolumeRenderer::VolumeRenderer(const VolumeRendererConfig& config, uint64_t seed)
    : config_(config), seed_(seed) {
  if (!(config.radius > 0.0f) || config.num_samples_per_ray < 1 || config.eval_chunk_size < 1 ||
      config.grid_resolution < 1)
    throw UserError(cat("renderer: radius ", config.radius, ", num_samples_per_ray ",
                        config.num_samples_per_ray, ", eval_chunk_size ", config.eval_chunk_size,
                        " and grid_resolution ", config.grid_resolution, " must all be above 0."));
  Box3f box;
  box.min.setConstant(-config.radius);
  box.max.setConstant(config.radius);
  grid_ = ops::OccupancyGrid::create(box, config.grid_resolution);
  if (!config.grid_prune) grid_.fill(true);
}

float VolumeRenderer::step_size() const {
  return 1.732f * 2.0f * config_.radius / static_cast<float>(config_.num_samples_per_ray);
}

void VolumeRenderer::update(const field::Field& field, int64_t step) {
  if (!config_.grid_prune) return;
  c10::NoGradGuard no_grad;
  grid_.update(seed_, step,
               [&](const at::Tensor& points) { return field.density(points).reshape({-1}) * step_size(); });
}

ops::RaySamples VolumeRenderer::sample(const field::Field& field, const at::Tensor& origins,
                                       const at::Tensor& directions, int64_t step, bool is_training) const {
  c10::NoGradGuard no_grad;
  const int64_t n_rays = origins.size(0);
  at::Tensor jitter;
  if (is_training && config_.randomized) {
    jitter = at::empty({n_rays}, at::kFloat);  // [R]
    for (int64_t r = 0; r < n_rays; ++r)
      jitter.data_ptr<float>()[r] =
          ops::draw(seed_, ops::DrawStream::MarchJitter, static_cast<uint32_t>(step), r).uniform(0);
  }
  ops::LatticeConfig lattice;
  lattice.step = step_size();
  lattice.near_plane = config_.near_plane;
  lattice.far_plane = config_.far_plane;
  ops::RaySamples samples = ops::sample_lattice(origins, directions, grid_, lattice, jitter);
  if (config_.grid_prune && config_.prune_alpha_threshold && samples.n_samples() > 0) {
    const at::Tensor position = points_of(origins, directions, samples).position;  // [S,3]
    std::vector<at::Tensor> parts;
    for (int64_t first = 0; first < position.size(0); first += config_.eval_chunk_size)
      parts.push_back(field.density(position.slice(0, first, first + config_.eval_chunk_size)).reshape({-1}));
    const at::Tensor sigma = at::cat(parts);  // [S]
    samples = ops::select_samples(
        samples, ops::visible_samples(sigma, samples.dt, samples.ray_start, kMinTransmittance,
                                      std::min(kMinAlpha, grid_.mean())));
  }
  return samples.n_samples() > 0 ? samples : dummy_sample(n_rays);
}

VolumeRendering VolumeRenderer::render(const field::Field& field, const at::Tensor& origins,
                                       const at::Tensor& directions, const at::Tensor& background,
                                       int64_t step, bool is_training) const {
  T3D_CHECK(origins.dim() == 2 && origins.size(0) > 0 && origins.size(1) == 3 &&
                origins.sizes() == directions.sizes(),
            "origins ", origins.sizes(), " and directions ", directions.sizes(),
            " must both be [R,3], R > 0");
  VolumeRendering out;
  out.samples = sample(field, origins, directions, step, is_training);
  const at::Tensor& start = out.samples.ray_start;
  const Points points = points_of(origins, directions, out.samples);
  out.points = points.position;
  out.directions = points.direction;
  out.values = sample_in_chunks(
      field, points, is_training ? std::max<int64_t>(points.position.size(0), 1) : config_.eval_chunk_size);
  const at::Tensor sigma = out.values.density.reshape({-1});                             // [S]
  const at::Tensor w = ops::weights_from_density(sigma, out.samples.dt, start).weights;  // [S]
  out.weights = w.unsqueeze(1);
  out.opacity = ops::accumulate_along_rays(w, {}, start);                        // [R,1]
  out.comp_rgb_fg = ops::accumulate_along_rays(w, out.values.colour, start);     // [R,3]
  out.depth = ops::accumulate_along_rays(w, out.samples.t.unsqueeze(1), start);  // [R,1]
  out.z_variance = ops::z_variance(w, out.samples.t, out.opacity, start);        // [R,1]
  out.comp_rgb = background.defined() ? out.comp_rgb_fg + background * (1 - out.opacity) : out.comp_rgb_fg;
  if (out.values.normal.defined()) {
    const at::Tensor sum = ops::accumulate_along_rays(w, out.values.normal, start);  // [R,3]
    const at::Tensor length = sum.square().sum(1, true).clamp_min(1e-24).sqrt();     // [R,1]
    out.comp_normal = (sum / length + 1) / 2 * out.opacity;
  }
  return out;
}

}  // namespace t3d::render
