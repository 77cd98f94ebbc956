#include "t3d/train/ngp_render_cpu.h"

#include <algorithm>

#include "t3d/ops/spherical_harmonics.h"

namespace t3d::train {
namespace {

/// Samples of a round: enough rows to keep the networks busy, few enough that little lies behind a surface.
constexpr int64_t kRoundSamples = 1 << 15;
constexpr int64_t kFewestPerRay = 4, kMostPerRay = 64;

}  // namespace

void NgpRendererCpu::march_round(const uint8_t* bits, int64_t per_ray) {
  const auto n_alive = static_cast<int64_t>(alive_.size());
  t_.resize(static_cast<size_t>(n_alive * per_ray));
  dt_.resize(t_.size());
  count_.assign(alive_.size(), 0);
  is_through_.assign(alive_.size(), 0);
#pragma omp parallel for schedule(dynamic, 64)
  for (int64_t i = 0; i < n_alive; ++i) {
    ops::RayMarcher& marcher = marchers_[static_cast<size_t>(alive_[static_cast<size_t>(i)])];
    int64_t n = 0;
    while (n < per_ray && marcher.n < march_.max_samples &&
           marcher.next(bits, &t_[static_cast<size_t>(i * per_ray + n)],
                        &dt_[static_cast<size_t>(i * per_ray + n)]))
      ++n;
    count_[static_cast<size_t>(i)] = n;
    is_through_[static_cast<size_t>(i)] = n < per_ray ? 1 : 0;
  }
  first_.assign(alive_.size() + 1, 0);
  for (size_t i = 0; i < alive_.size(); ++i) first_[i + 1] = first_[i] + count_[i];
  const int64_t total = first_.back();
  round_t_.resize(static_cast<size_t>(total));
  round_dt_.resize(static_cast<size_t>(total));
  ray_of_sample_.resize(static_cast<size_t>(total));
  float* positions = positions_.need(3 * total);
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < n_alive; ++i) {
    const int32_t ray = alive_[static_cast<size_t>(i)];
    const ops::RayMarcher& marcher = marchers_[static_cast<size_t>(ray)];
    for (int64_t k = 0; k < count_[static_cast<size_t>(i)]; ++k) {
      const auto from = static_cast<size_t>(i * per_ray + k);
      const int64_t to = first_[static_cast<size_t>(i)] + k;
      round_t_[static_cast<size_t>(to)] = t_[from];
      round_dt_[static_cast<size_t>(to)] = dt_[from];
      ray_of_sample_[static_cast<size_t>(to)] = ray;
      for (int axis = 0; axis < 3; ++axis)
        positions[3 * to + axis] = marcher.o[axis] + t_[from] * marcher.d[axis];
    }
  }
}

void NgpRendererCpu::shade_round(NgpNetworkCpu& network, const float* params) {
  const int64_t total = first_.back();
  float* sigma = sigma_.need(total);
  network.density(params, positions_.data(), total, sigma);
  used_.clear();
  for (size_t i = 0; i < alive_.size(); ++i) {
    float transmittance = rays_[static_cast<size_t>(alive_[i])].transmittance;
    for (int64_t k = first_[i]; k < first_[i + 1] && transmittance > ops::kMinTransmittance; ++k) {
      transmittance *= std::exp(-sigma[k] * round_dt_[static_cast<size_t>(k)]);
      used_.push_back(static_cast<int32_t>(k));
    }
  }
  const auto n_used = static_cast<int64_t>(used_.size());
  float *used_sigma = used_sigma_.need(n_used), *rgb = rgb_.need(3 * n_used);
  network.select_and_shade(params, used_.data(), n_used, sh_.data(), ray_of_sample_.data(), used_sigma, rgb);
  for (int64_t i = 0; i < n_used; ++i) {
    const auto k = static_cast<size_t>(used_[static_cast<size_t>(i)]);
    rays_[static_cast<size_t>(ray_of_sample_[k])].add(used_sigma[i], rgb + 3 * i, round_t_[k], round_dt_[k]);
  }
}

void NgpRendererCpu::render(NgpNetworkCpu& network, const float* params, const uint8_t* bits,
                            const float* origins, const float* directions, int64_t n, const float* background,
                            float* colour, float* opacity, float* depth) {
  const int n_sh = sh_degree_ * sh_degree_;
  ops::cpu::sh_forward(sh_degree_, directions, 3, n, ops::rows(sh_.need(n * n_sh), n_sh));
  marchers_.clear();
  rays_.assign(static_cast<size_t>(n), {});
  alive_.clear();
  for (int64_t r = 0; r < n; ++r) {
    marchers_.emplace_back(origins + 3 * r, directions + 3 * r, 0.5f, march_, n_cascades_);
    alive_.push_back(static_cast<int32_t>(r));
  }
  while (!alive_.empty()) {
    const auto n_alive = static_cast<int64_t>(alive_.size());
    march_round(bits, std::clamp(kRoundSamples / n_alive, kFewestPerRay, kMostPerRay));
    if (first_.back() > 0) shade_round(network, params);
    size_t kept = 0;
    for (size_t i = 0; i < alive_.size(); ++i)
      if (is_through_[i] == 0 && !rays_[static_cast<size_t>(alive_[i])].is_done()) alive_[kept++] = alive_[i];
    alive_.resize(kept);
  }
  for (int64_t r = 0; r < n; ++r) {
    const ops::RayAccumulator& ray = rays_[static_cast<size_t>(r)];
    for (int c = 0; c < 3; ++c) colour[3 * r + c] = ray.colour[c] + background[c] * ray.transmittance;
    opacity[r] = ray.opacity();
    depth[r] = ray.depth;
  }
}

}  // namespace t3d::train
