#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "t3d/ops/ray_march.h"

/// Marching on an OccupancyGrid as a look at every interval's middle: what the fast ways are held against.
namespace t3d::testing {

struct Ray {
  Vec3f o, d;
};

/// The cell of `level` around the ray's point at `t`, in the precision of T; how far the point is from a wall
/// of it along the axes on which the ray moves.
template <class T>
struct Found {
  int64_t index;
  bool is_occupied;
  T to_wall;
};
template <class T>
Found<T> look(const ops::OccupancyGrid& grid, const Ray& ray, T t, int level = 0) {
  Found<T> found{level, false, T(1e9)};
  for (int axis = 0; axis < 3; ++axis) {
    const T size = static_cast<T>(grid.box.size()[axis]) * static_cast<T>(1 << level);
    const T low = static_cast<T>(grid.box.center()[axis]) - size / 2;
    const T x = static_cast<T>(ray.o[axis]) + t * static_cast<T>(ray.d[axis]);
    const T place = (x - low) / size * static_cast<T>(grid.resolution);
    const T cell = std::min(std::max(std::floor(place), T(0)), static_cast<T>(grid.resolution - 1));
    found.index = found.index * grid.resolution + static_cast<int64_t>(cell);
    const T width = size / static_cast<T>(grid.resolution);
    if (ray.d[axis] != 0)
      found.to_wall = std::min(found.to_wall, std::abs(place - std::round(place)) * width);
  }
  found.is_occupied = grid.binary.template data_ptr<bool>()[found.index];
  return found;
}

/// Middles and lengths of the samples, in float as the renderer's points are. The step is chosen anew for
/// every sample and once for the stretch before the box and each empty cell.
inline std::vector<std::pair<float, float>> every_middle(const ops::OccupancyGrid& grid,
                                                         const ops::LatticeConfig& config, const Ray& ray,
                                                         float jitter) {
  std::array<float, ops::kMaxCascades> enters{}, leaves{};  // of each level
  for (int level = 0; level < grid.n_levels; ++level) {
    const Vec3f half = 0.5f * grid.box.size() * ops::cascade_side(level);
    const Vec3f low = grid.box.center() - half, high = grid.box.center() + half;
    uint8_t hit;
    ops::cpu::ray_box(ray.o.data(), ray.d.data(), 1, low.data(), high.data(), 1e10f, &enters[level],
                      &leaves[level], &hit);
  }
  const auto look_at = [&](float t) {
    int level = 0;
    while (level < grid.n_levels - 1 && !(enters[level] <= t && t < leaves[level])) ++level;
    return look<float>(grid, ray, t, level);
  };
  float enter = enters[grid.n_levels - 1], leave = leaves[grid.n_levels - 1];
  std::vector<std::pair<float, float>> samples;
  if (leave == 1e10f) return samples;
  float t = config.near_plane + jitter * config.step;
  const auto step_at = [&](float at) { return std::max(at * config.cone_angle, config.step); };
  enter = std::max(enter, t), leave = std::min(leave, config.far_plane);
  for (const float dt = step_at(t); t + 0.5f * dt < enter;) t += dt;
  int64_t empty_cell = -1;
  float kept_dt = 0.0f;
  for (;;) {
    float dt = step_at(t);
    if (empty_cell >= 0 && t + 0.5f * kept_dt < leave && look_at(t + 0.5f * kept_dt).index == empty_cell)
      dt = kept_dt;
    if (t + 0.5f * dt >= leave) return samples;
    const Found<float> found = look_at(t + 0.5f * dt);
    if (found.is_occupied) samples.emplace_back(t + 0.5f * dt, dt);
    empty_cell = found.is_occupied ? -1 : found.index;
    kept_dt = dt;
    t += dt;
  }
}

}  // namespace t3d::testing
