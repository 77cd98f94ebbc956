#include "t3d/ops/ray_march.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "t3d/core/error.h"
#include "t3d/ops/composite.h"

namespace t3d::ops {
namespace {

struct Rays {
  at::Tensor o, d, jitter;  // [R,3], [R,3], [R] or undefined
  Rays(const at::Tensor& origins, const at::Tensor& directions, const at::Tensor& shifts) {
    T3D_CHECK(origins.dim() == 2 && origins.size(1) == 3 && origins.sizes() == directions.sizes(), "origins ",
              origins.sizes(), " and directions ", directions.sizes(), " must both be [R,3]");
    o = origins.detach().to(at::kFloat).contiguous();
    d = directions.detach().to(at::kFloat).contiguous();
    if (!shifts.defined()) return;
    T3D_CHECK(shifts.numel() == origins.size(0), "jitter has ", shifts.numel(), " entries for ",
              origins.size(0), " rays");
    jitter = shifts.detach().to(at::kFloat).contiguous();
  }
  int64_t size() const { return o.size(0); }
  const float* origin(int64_t r) const { return o.data_ptr<float>() + 3 * r; }
  const float* direction(int64_t r) const { return d.data_ptr<float>() + 3 * r; }
  const float* shifts() const { return jitter.defined() ? jitter.data_ptr<float>() : nullptr; }
};

using Interval = std::pair<float, float>;  // middle and length, or start and end

/// Tensors from one list of (middle, length) per ray.
RaySamples pack(const std::vector<std::vector<Interval>>& lists) {
  const auto n_rays = static_cast<int64_t>(lists.size());
  RaySamples out;
  out.ray_start = at::zeros({n_rays + 1}, at::kInt);  // [R+1]
  int32_t* start = out.ray_start.data_ptr<int32_t>();
  for (int64_t r = 0; r < n_rays; ++r) start[r + 1] = start[r] + static_cast<int32_t>(lists[r].size());
  const int64_t n = start[n_rays];
  out.ray_indices = at::empty({n}, at::kLong);
  out.t = at::empty({n}, at::kFloat);
  out.dt = at::empty({n}, at::kFloat);
  int64_t i = 0;
  for (int64_t r = 0; r < n_rays; ++r)
    for (const Interval& sample : lists[r]) {
      out.ray_indices.data_ptr<int64_t>()[i] = r;
      out.t.data_ptr<float>()[i] = sample.first;
      out.dt.data_ptr<float>()[i++] = sample.second;
    }
  return out;
}

/// The grid of nerfacc, asked point by point.
class LevelLookup {
 public:
  explicit LevelLookup(const OccupancyGrid& grid)
      : binary_(grid.binary.to(at::kByte).contiguous()),
        centre_(grid.box.center()),
        size_(grid.box.size()),
        n_levels_(static_cast<int>(binary_.size(0))) {
    for (int axis = 0; axis < 3; ++axis) side_[axis] = static_cast<int>(binary_.size(axis + 1));
  }

  bool is_occupied(const Vec3f& point) const {
    for (int level = 0; level < n_levels_; ++level) {
      int64_t cell = level;
      bool is_inside = true;
      for (int axis = 0; axis < 3; ++axis) {
        const float share = (point[axis] - centre_[axis]) / (size_[axis] * cascade_side(level)) + 0.5f;
        is_inside = is_inside && share >= -1e-6f && share <= 1.0f + 1e-6f;
        const int c = static_cast<int>(share * static_cast<float>(side_[axis]));
        cell = cell * side_[axis] + std::clamp(c, 0, side_[axis] - 1);
      }
      if (is_inside) return binary_.data_ptr<uint8_t>()[cell] != 0;
    }
    return false;
  }

 private:
  at::Tensor binary_;
  Vec3f centre_, size_;
  int n_levels_, side_[3];
};

}  // namespace

at::Tensor RaySamples::t_starts() const {
  return t - 0.5 * dt;
}

at::Tensor RaySamples::t_ends() const {
  return t + 0.5 * dt;
}

RaySamples march(const at::Tensor& origins, const at::Tensor& directions, const DensityGrid& grid,
                 const MarchConfig& config, const at::Tensor& jitter) {
  const Rays rays(origins, directions, jitter);
  const uint8_t* bits = grid.bits.data_ptr<uint8_t>();
  at::Tensor counts = at::empty({rays.size()}, at::kInt);  // [R]
  RaySamples out;
  out.ray_start = at::empty({rays.size() + 1}, at::kInt);  // [R+1]
  cpu::march_count(rays.origin(0), rays.direction(0), rays.shifts(), rays.size(), bits, grid.n_cascades,
                   config, counts.data_ptr<int32_t>());
  cpu::exclusive_scan(counts.data_ptr<int32_t>(), rays.size(), INT32_MAX, out.ray_start.data_ptr<int32_t>());
  const int64_t n = out.ray_start[-1].item<int32_t>();
  out.t = at::empty({n}, at::kFloat);   // [S]
  out.dt = at::empty({n}, at::kFloat);  // [S]
  cpu::march_write(rays.origin(0), rays.direction(0), rays.shifts(), rays.size(), bits, grid.n_cascades,
                   config, out.ray_start.data_ptr<int32_t>(), out.t.data_ptr<float>(),
                   out.dt.data_ptr<float>(), nullptr, nullptr);
  out.ray_indices = ray_indices_from_start(out.ray_start);  // [S]
  return out;
}

RaySamples march_reference(const at::Tensor& origins, const at::Tensor& directions, const DensityGrid& grid,
                           const MarchConfig& config, const at::Tensor& jitter) {
  const Rays rays(origins, directions, jitter);
  const uint8_t* bits = grid.bits.data_ptr<uint8_t>();
  std::vector<std::vector<Interval>> lists(rays.size());
  for (int64_t r = 0; r < rays.size(); ++r) {
    RayMarcher ray(rays.origin(r), rays.direction(r), rays.shifts() ? rays.shifts()[r] : 0.5f, config,
                   grid.n_cascades);
    while (ray.t < ray.t_end && static_cast<int>(lists[r].size()) < config.max_samples) {
      const float x = ray.o[0] + ray.t * ray.d[0], y = ray.o[1] + ray.t * ray.d[1],
                  z = ray.o[2] + ray.t * ray.d[2], dt = config.step_at(ray.t);
      const float largest = std::max({std::fabs(x), std::fabs(y), std::fabs(z)});
      const int cascade =
          std::max(cascade_of_position(largest, grid.n_cascades), cascade_of_step(dt, grid.n_cascades));
      const uint32_t cell = cell_number(x, y, z, cascade);
      if (bits[cell >> 3] >> (cell & 7u) & 1u) lists[r].emplace_back(ray.t, dt);
      ray.advance(dt);
    }
  }
  return pack(lists);
}

RaySamples sample_lattice(const at::Tensor& origins, const at::Tensor& directions, const OccupancyGrid& grid,
                          const LatticeConfig& config, const at::Tensor& jitter) {
  T3D_CHECK(config.step > 0.0f, "the lattice needs a positive step, not ", config.step);
  const Rays rays(origins, directions, jitter);
  const float scale = cascade_side(grid.n_levels - 1);
  Box3f outer;
  outer.min = grid.box.center() - 0.5f * scale * grid.box.size();
  outer.max = grid.box.center() + 0.5f * scale * grid.box.size();
  const RayBoxHits hits = intersect_box(rays.o, rays.d, outer);
  const LevelLookup lookup(grid);
  std::vector<std::vector<Interval>> lists(rays.size());
  at::parallel_for(0, rays.size(), 64, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      if (!hits.hit.data_ptr<bool>()[r]) continue;
      const float shift = rays.shifts() ? rays.shifts()[r] * config.step : 0.0f;
      const float near_plane = config.near_plane + shift;
      const float enter = std::max(hits.t_min.data_ptr<float>()[r], near_plane);
      const float leave = std::min(hits.t_max.data_ptr<float>()[r], config.far_plane);
      const Vec3f o(rays.origin(r)), d(rays.direction(r));
      float t = near_plane;
      while (true) {
        const float dt = std::max(t * config.cone_angle, config.step), middle = t + 0.5f * dt;
        if (middle >= leave || t + dt <= t) break;
        if (middle >= enter && lookup.is_occupied(o + middle * d)) lists[r].emplace_back(middle, dt);
        t += dt;
      }
    }
  });
  return pack(lists);
}

RaySamples select_samples(const RaySamples& samples, const at::Tensor& keep) {
  const at::Tensor rows = at::nonzero(keep.reshape({-1})).reshape({-1});  // [n]
  RaySamples out;
  out.ray_indices = samples.ray_indices.index_select(0, rows);
  out.t = samples.t.index_select(0, rows);
  out.dt = samples.dt.index_select(0, rows);
  out.ray_start = ray_start_from_indices(out.ray_indices, samples.n_rays());
  return out;
}

}  // namespace t3d::ops
