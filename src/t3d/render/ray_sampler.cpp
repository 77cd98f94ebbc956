#include "t3d/render/ray_sampler.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "t3d/core/error.h"
#include "t3d/ops/composite.h"
#include "t3d/ops/importance.h"

namespace t3d::render {
namespace {

constexpr int kGridSide = 32;
constexpr double kMinTransmittance = 1e-4, kMaxAlphaThreshold = 0.01;

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

at::Tensor in_chunks(const at::Tensor& rows, int64_t chunk,
                     const std::function<at::Tensor(const at::Tensor&)>& body) {
  const int64_t n = rows.size(0);
  if (chunk <= 0 || n <= chunk) return body(rows);
  std::vector<at::Tensor> parts;
  for (int64_t begin = 0; begin < n; begin += chunk)
    parts.push_back(body(rows.slice(0, begin, begin + chunk)));
  return at::cat(parts);
}

at::Tensor ray_jitter(int64_t n_rays, const at::Tensor& like, Rng& rng) {
  auto u = at::empty({n_rays}, at::kFloat);
  for (int64_t i = 0; i < n_rays; ++i) u.data_ptr<float>()[i] = rng.uniform();
  return u.to(like.device());
}

at::Tensor even_edges(int64_t n_rays, int64_t n, float near_plane, float far_plane, const at::Tensor& jitter,
                      const at::Tensor& like) {
  const auto ends = at::tensor({near_plane, far_plane}).to(like.device()).expand({n_rays, 2});
  const auto even = at::tensor({0.f, 1.f}).to(like.device()).expand({n_rays, 2});
  return ops::importance_resample(ends, even, n, jitter).intervals;
}

ops::RaySamples samples_between(const at::Tensor& edges) {
  const int64_t n_rays = edges.size(0), per_ray = edges.size(1) - 1;
  const auto whole = edges.options().dtype(at::kLong);
  ops::RaySamples s;
  s.t = ((edges.slice(1, 0, -1) + edges.slice(1, 1)) / 2).reshape({-1});
  s.dt = (edges.slice(1, 1) - edges.slice(1, 0, -1)).reshape({-1});
  s.ray_start = (at::arange(n_rays + 1, whole) * per_ray).to(at::kInt);
  s.ray_indices = at::arange(n_rays, whole).repeat_interleave(per_ray);
  return s;
}

RaySampler::RaySampler(const SamplerConfig& config, const field::BuildContext& context)
    : config_(config), seed_(context.part("estimator").seed), device_(context.device) {
  if (config.estimator == "importance" && config.far_plane >= 1e10f)
    throw UserError("renderer.estimator is importance, which needs far_plane. Set near_plane and far_plane.");
  Box3f box;
  box.min = Vec3f::Constant(-config.radius), box.max = Vec3f::Constant(config.radius);
  grid_ = ops::OccupancyGrid::create(box, kGridSide);
  if (!config.grid_prune) grid_.fill(true);
}

float RaySampler::step_size() const {
  return 1.732f * 2 * config_.radius / static_cast<float>(config_.num_samples_per_ray);
}

void RaySampler::update_grid(int64_t step, const FieldProbe& probe) {
  if (config_.estimator != "occgrid" || !config_.grid_prune) return;
  const c10::NoGradGuard no_grad;
  grid_.update(seed_, step, [&](const at::Tensor& points) {
    return in_chunks(points.to(device_), config_.eval_chunk_size, probe.occupancy).cpu();
  });
}

ops::RaySamples RaySampler::by_importance(const at::Tensor& o, const at::Tensor& d, const FieldProbe& probe,
                                          bool is_random, Rng& rng) const {
  const c10::NoGradGuard no_grad;
  const int64_t n_rays = o.size(0);
  const auto jitter = [&] { return is_random ? ray_jitter(n_rays, o, rng) : at::Tensor(); };
  const auto coarse = even_edges(n_rays, config_.num_samples_per_ray_importance, config_.near_plane,
                                 config_.far_plane, jitter(), o);  // [R,E]
  const auto low = coarse.slice(1, 0, -1), high = coarse.slice(1, 1);
  const auto middle = (low + high) / 2;  // [R,E-1]
  const auto points = o.unsqueeze(1) + d.unsqueeze(1) * middle.unsqueeze(-1);
  const auto sigma =
      in_chunks(points.reshape({-1, 3}), config_.eval_chunk_size, probe.density).reshape(middle.sizes());
  const auto transmittance = ops::weights_from_density_batched(sigma, high - low).transmittance;
  const auto fine = ops::importance_resample(coarse, ops::cdf_from_transmittance(transmittance),
                                             config_.num_samples_per_ray, jitter())
                        .intervals;
  return samples_between(ops::merge_edges(coarse, fine));
}

ops::RaySamples RaySampler::by_grid(const at::Tensor& o, const at::Tensor& d, const FieldProbe& probe,
                                    bool is_random, Rng& rng) const {
  ops::LatticeConfig lattice;
  lattice.step = step_size();
  lattice.near_plane = config_.near_plane, lattice.far_plane = config_.far_plane;
  const auto jitter = is_random ? ray_jitter(o.size(0), o, rng) : at::Tensor();
  ops::RaySamples s = ops::sample_lattice(o, d, grid_, lattice, jitter);
  if (!config_.grid_prune || !config_.prune_alpha_threshold || s.n_samples() == 0) return s;
  const auto points =
      o.index_select(0, s.ray_indices) + d.index_select(0, s.ray_indices) * s.t.unsqueeze(1);  // [S,3]
  const c10::NoGradGuard no_grad;
  const auto alpha = in_chunks(points, config_.eval_chunk_size, probe.alpha);  // [S]
  return ops::select_samples(s, ops::visible_samples(alpha, s.ray_start, kMinTransmittance,
                                                     std::min(kMaxAlphaThreshold, grid_.mean())));
}

ops::RaySamples RaySampler::sample(const at::Tensor& o, const at::Tensor& d, const FieldProbe& probe,
                                   bool is_random, Rng& rng) const {
  ops::RaySamples s = config_.estimator == "importance" ? by_importance(o, d, probe, is_random, rng)
                                                        : by_grid(o, d, probe, is_random, rng);
  return s.n_samples() > 0 ? s : dummy_sample(o.size(0), o);
}

void RaySampler::collect(const std::string& prefix, field::NamedTensors& buffers) const {
  buffers.emplace(prefix + "occs", grid_.occupancy);
  buffers.emplace(prefix + "binaries", grid_.binary);
}

}  // namespace t3d::render
