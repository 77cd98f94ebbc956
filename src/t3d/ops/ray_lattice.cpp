#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "t3d/ops/ray_lists.h"

namespace t3d::ops {
namespace {

/// Walks one ray through the levels of an OccupancyGrid, cell by cell.
class LevelWalk {
 public:
  struct Cell {
    bool is_occupied;
    float exit;  ///< where the ray leaves the cell, or comes into a finer level
  };

  LevelWalk(const OccupancyGrid& grid, const uint8_t* binary)
      : binary_(binary),
        side_(grid.resolution),
        n_levels_(grid.n_levels),
        centre_(grid.box.center()),
        size_(grid.box.size()) {}

  void set_ray(const Vec3f& origin, const Vec3f& direction) {
    o_ = origin;
    d_ = direction;
    for (int level = 0; level < n_levels_; ++level) {
      const Vec3f half = 0.5f * size_ * cascade_side(level), low = centre_ - half, high = centre_ + half;
      uint8_t hit;
      cpu::ray_box(o_.data(), d_.data(), 1, low.data(), high.data(), 1e10f, &enter_[level], &leave_[level],
                   &hit);
    }
  }

  float enter() const { return enter_[n_levels_ - 1]; }
  float leave() const { return leave_[n_levels_ - 1]; }

  /// The cell of the finest level that holds the ray's point at `s`.
  Cell at(float s) const {
    int level = n_levels_ - 1;
    float exit = leave_[level];
    for (int finer = 0; finer < n_levels_; ++finer) {
      if (s < enter_[finer]) exit = std::min(exit, enter_[finer]);
      if (s >= enter_[finer] && s < leave_[finer]) {
        level = finer;
        exit = std::min(exit, leave_[finer]);
        break;
      }
    }
    int64_t index = level;
    for (int axis = 0; axis < 3; ++axis) {
      const float width = size_[axis] * cascade_side(level) / static_cast<float>(side_);
      const float low = centre_[axis] - 0.5f * size_[axis] * cascade_side(level);
      const float share = (o_[axis] + s * d_[axis] - low) / width;
      const int c = static_cast<int>(std::clamp(share, 0.0f, static_cast<float>(side_ - 1)));
      index = index * side_ + c;
      if (d_[axis] == 0.0f) continue;
      const float wall = low + static_cast<float>(d_[axis] > 0.0f ? c + 1 : c) * width;
      exit = std::min(exit, (wall - o_[axis]) / d_[axis]);
    }
    return {binary_[index] != 0, exit};
  }

 private:
  const uint8_t* binary_;
  int side_, n_levels_;
  Vec3f centre_, size_, o_, d_;
  std::array<float, kMaxCascades> enter_{}, leave_{};
};

/// Appends the samples of one ray. As nerfacc does, the step is chosen anew for every sample, but only once
/// for the stretch before the box and for each empty cell; with cones this moves the later samples.
void sample_ray(const LevelWalk& walk, const LatticeConfig& config, float near_plane,
                std::vector<Interval>* samples) {
  const float enter = std::max(walk.enter(), near_plane), leave = std::min(walk.leave(), config.far_plane);
  const auto step_at = [&](float t) { return std::max(t * config.cone_angle, config.step); };
  float t = near_plane;
  const auto skip_to = [&](float exit) {
    const float dt = step_at(t);
    while (t + 0.5f * dt < exit && t + dt > t) t += dt;
  };
  skip_to(enter);
  for (float s = enter; s < leave;) {
    const LevelWalk::Cell cell = walk.at(s);
    const float exit = std::min(cell.exit, leave);
    if (cell.is_occupied) {
      for (float dt = step_at(t); t + 0.5f * dt < exit && t + dt > t; dt = step_at(t)) {
        samples->emplace_back(t + 0.5f * dt, dt);
        t += dt;
      }
    } else {
      skip_to(exit);
    }
    // A little into the next cell; rounding may leave the point in this one, then the walk tries again.
    s = std::max(s, exit) + 1e-6f * (1.0f + std::fabs(s));
  }
}

}  // namespace

RaySamples sample_lattice(const at::Tensor& origins, const at::Tensor& directions, const OccupancyGrid& grid,
                          const LatticeConfig& config, const at::Tensor& jitter) {
  T3D_CHECK(config.step > 0.0f, "the lattice needs a positive step, not ", config.step);
  T3D_CHECK(grid.n_levels <= kMaxCascades, "at most ", kMaxCascades, " levels, not ", grid.n_levels);
  if (!origins.device().is_cpu()) {
    // The walk runs on the CPU whatever the device: rays go there and samples come back.
    OccupancyGrid on_cpu = grid;
    on_cpu.binary = grid.binary.cpu();
    return sample_lattice(origins.cpu(), directions.cpu(), on_cpu, config,
                          jitter.defined() ? jitter.cpu() : jitter)
        .to(origins.device());
  }
  const Rays rays(origins, directions, jitter);
  const at::Tensor binary = grid.binary.to(at::kByte).contiguous();  // [L,X,Y,Z]
  const int64_t n = grid.resolution;
  T3D_CHECK(binary.numel() == grid.n_levels * n * n * n, "binary ", binary.sizes(), " for ", grid.n_levels,
            " levels of ", n, "^3");
  std::vector<std::vector<Interval>> lists(rays.size());
  at::parallel_for(0, rays.size(), 64, [&](int64_t begin, int64_t end) {
    LevelWalk walk(grid, binary.data_ptr<uint8_t>());
    for (int64_t r = begin; r < end; ++r) {
      walk.set_ray(Vec3f(rays.origin(r)), Vec3f(rays.direction(r)));
      if (walk.leave() >= 1e10f) continue;  // missed
      const float shift = rays.shifts() != nullptr ? rays.shifts()[r] * config.step : 0.0f;
      sample_ray(walk, config, config.near_plane + shift, &lists[r]);
    }
  });
  return pack(lists);
}

}  // namespace t3d::ops
