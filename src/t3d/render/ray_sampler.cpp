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

at::Tensor uniforms(int64_t n, const at::Tensor& like, Rng& rng) {
  auto u = at::empty({n}, at::kFloat);
  for (int64_t i = 0; i < n; ++i) u.data_ptr<float>()[i] = rng.uniform();
  return u.to(like.device());
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

at::Tensor RaySampler::ask(const std::function<at::Tensor(const at::Tensor&)>& question,
                           const at::Tensor& points) const {
  const c10::NoGradGuard no_grad;
  const int64_t n = points.size(0), chunk = config_.eval_chunk_size;
  if (chunk <= 0 || n <= chunk) return question(points);
  std::vector<at::Tensor> parts;
  for (int64_t begin = 0; begin < n; begin += chunk)
    parts.push_back(question(points.slice(0, begin, begin + chunk)));
  return at::cat(parts);
}

void RaySampler::update_grid(int64_t step, const FieldProbe& probe) {
  if (config_.estimator != "occgrid" || !config_.grid_prune) return;
  const c10::NoGradGuard no_grad;
  grid_.update(seed_, step,
               [&](const at::Tensor& points) { return ask(probe.occupancy, points.to(device_)).cpu(); });
}

ops::RaySamples RaySampler::by_importance(const at::Tensor& o, const at::Tensor& d, const FieldProbe& probe,
                                          bool is_random, Rng& rng) const {
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
  const auto sigma = ask(probe.density, points.reshape({-1, 3})).reshape(middle.sizes());
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

ops::RaySamples RaySampler::by_grid(const at::Tensor& o, const at::Tensor& d, const FieldProbe& probe,
                                    bool is_random, Rng& rng) const {
  ops::LatticeConfig lattice;
  lattice.step = step_size();
  lattice.near_plane = config_.near_plane, lattice.far_plane = config_.far_plane;
  const auto jitter = is_random ? uniforms(o.size(0), o, rng) : at::Tensor();
  ops::RaySamples s = ops::sample_lattice(o, d, grid_, lattice, jitter);
  if (!config_.grid_prune || !config_.prune_alpha_threshold || s.n_samples() == 0) return s;
  const auto points =
      o.index_select(0, s.ray_indices) + d.index_select(0, s.ray_indices) * s.t.unsqueeze(1);  // [S,3]
  return ops::select_samples(s, ops::visible_samples(ask(probe.alpha, points), s.ray_start, kMinTransmittance,
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
