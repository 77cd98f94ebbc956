#pragma once

#include "t3d/ops/occupancy_layout.h"

/// The march of instant-NGP along one ray, shared by the CPU and CUDA code. No torch header.
namespace t3d::ops {

/// The step rule: dt(t) = clamp(t * cone_angle, sqrt(3)/1024, sqrt(3)*aabb_scale/128), scene units.
struct MarchConfig {
  float aabb_scale = 1.0f;      ///< the box is ±0.5*aabb_scale; a power of two
  float cone_angle = 0.0f;      ///< 0 when aabb_scale is 1, 1/256 otherwise
  float near_distance = 0.01f;  ///< the march starts no nearer to the origin
  int max_samples = 1024;       ///< per ray

  T3D_HOST_DEVICE float step_at(float t) const {
    const float longest = kSqrt3 * aabb_scale / kGridSide;
    const float dt = t * cone_angle;
    return dt < kMinStep ? kMinStep : dt > longest ? longest : dt;
  }
  /// The rule of the papers for a box: constant steps in the unit box, cones of 1/256 in larger ones.
  static MarchConfig for_scale(float aabb_scale) {
    MarchConfig config;
    config.aabb_scale = aabb_scale;
    config.cone_angle = aabb_scale > 1.0f ? 1.0f / 256.0f : 0.0f;
    return config;
  }
};

/// Entry and exit of a ray through the cube ±half; false (and t_min > t_max) on a miss.
T3D_HOST_DEVICE inline bool cube_interval(const float* o, const float* inverse_d, float half, float* t_min,
                                          float* t_max) {
  float low = -1e30f, high = 1e30f;
  for (int i = 0; i < 3; ++i) {
    const float a = (-half - o[i]) * inverse_d[i], b = (half - o[i]) * inverse_d[i];
    low = larger(smaller(a, b), low);
    high = smaller(larger(a, b), high);
  }
  *t_min = low;
  *t_max = high;
  return low < high && high > 0.0f &&
         high < 1e6f;  // above: not a number, no direction, or out of float's reach
}

/// Visits the samples of one ray. The whole state is (n, t), so that a ray may be left and taken up again
/// (`resume_at`); with cone_angle 0 the samples lie on the lattice first + n*dt.
///
///   RayMarcher ray(origin, direction, jitter, config, n_cascades);
///   for (float t, dt; ray.next(bits, &t, &dt);) { ... }
struct RayMarcher {
  float o[3], d[3], inverse_d[3];
  float first = 0.0f, t = 0.0f, t_end = -1.0f;  ///< lattice origin, next candidate, exit of the box
  int n = 0;                                    ///< candidate t = first + n*dt when cone_angle is 0
  int n_cascades;
  MarchConfig config;

  /// `jitter` in [0,1) moves the first sample by that share of a step past the entry: uniform in training,
  /// 0.5 otherwise, so that a sample lies in the middle of its interval.
  T3D_HOST_DEVICE RayMarcher(const float* origin, const float* direction, float jitter,
                             const MarchConfig& march_config, int cascades)
      : n_cascades(cascades), config(march_config) {
    for (int i = 0; i < 3; ++i) {
      o[i] = origin[i];
      d[i] = direction[i];
      // A tiny slope instead of 0 keeps every quotient below finite.
      inverse_d[i] = 1.0f / (d[i] < 0.0f ? smaller(d[i], -1e-9f) : larger(d[i], 1e-9f));
    }
    float t_min;
    if (!cube_interval(o, inverse_d, 0.5f * config.aabb_scale, &t_min, &t_end)) {
      t_end = -1.0f;
      return;
    }
    const float entry = larger(t_min, config.near_distance);
    first = entry + jitter * config.step_at(entry);
    t = first;
  }

  /// Continues from candidate number `at_n` (cone_angle 0) and distance `at_t` (otherwise).
  T3D_HOST_DEVICE void resume_at(int at_n, float at_t) {
    n = at_n;
    t = config.cone_angle == 0.0f ? first + static_cast<float>(n) * kMinStep : at_t;
  }

  T3D_HOST_DEVICE void advance(float dt) {
    ++n;
    t = config.cone_angle == 0.0f ? first + static_cast<float>(n) * kMinStep : t + dt;
  }

  /// The next sample in an occupied cell: its middle t and length dt. False at the end of the box.
  T3D_HOST_DEVICE bool next(const uint8_t* bits, float* t_sample, float* dt_sample) {
    while (t < t_end) {
      const float dt = config.step_at(t);
      if (t >= known_until || dt > known_step) {
        const Cell cell = find_cell(dt);
        const uint32_t number =
            static_cast<uint32_t>(cell.cascade) * kCellsPerCascade +
            morton_code(static_cast<uint32_t>(cell.c[0]), static_cast<uint32_t>(cell.c[1]),
                        static_cast<uint32_t>(cell.c[2]));
        if ((bits[number >> 3] & (1u << (number & 7u))) == 0) {
          const uint64_t block = *reinterpret_cast<const uint64_t*>(bits + ((number >> 6) << 3));
          skip(exit_of(cell, block == 0 ? 4 : 1), dt, longest_step(cell.cascade));
          continue;
        }
        known_until = exit_of(cell, 1);
        known_step = longest_step(cell.cascade);
      }
      *t_sample = t;
      *dt_sample = dt;
      advance(dt);
      return true;
    }
    return false;
  }

 private:
  struct Cell {
    int cascade, c[3];
    bool is_on_edge;  ///< the point lies on the very edge of a finer cascade, which the ray may be entering
  };

  float known_until = -1.0f, known_step = 0.0f;  ///< candidates before it, not longer, are occupied too

  T3D_HOST_DEVICE Cell find_cell(float dt) const {
    const float p[3] = {o[0] + t * d[0], o[1] + t * d[1], o[2] + t * d[2]};
    Cell cell;
    cell.cascade = 0;
    cell.is_on_edge = false;
    if (n_cascades > 1) {
      const float largest = larger(fabsf(p[0]), larger(fabsf(p[1]), fabsf(p[2])));
      const int by_position = cascade_of_position(largest, n_cascades);
      const int by_step = cascade_of_step(dt, n_cascades);
      cell.cascade = by_position > by_step ? by_position : by_step;
      cell.is_on_edge = by_position > 0 && largest == 0.5f * cascade_side(by_position - 1);
    }
    const float inverse_side = inverse_cascade_side(cell.cascade);
    for (int i = 0; i < 3; ++i) cell.c[i] = grid_coordinate(p[i], inverse_side);
    return cell;
  }

  /// Where the ray leaves the cell, or the aligned block of 4^3 cells around it; a little before. What rounds
  /// in find_cell moves a point by up to `slack` along an axis, which a grazing ray takes long to cover: so
  /// much before the wall the march looks again, or it would pass over samples that the next cell owns.
  T3D_HOST_DEVICE float exit_of(const Cell& cell, int size) const {
    if (cell.is_on_edge) return t;
    const float side = cascade_side(cell.cascade), width = side * (1.0f / kGridSide);
    float exit = 1e30f;
    for (int i = 0; i < 3; ++i) {
      const int corner = cell.c[i] & ~(size - 1);
      const float slack = 2e-7f * (fabsf(o[i]) + 2.0f * side);
      const float wall = d[i] < 0.0f ? static_cast<float>(corner) * width - 0.5f * side + slack
                                     : static_cast<float>(corner + size) * width - 0.5f * side - slack;
      exit = smaller((wall - o[i]) * inverse_d[i], exit);
    }
    return exit - 5e-7f * fabsf(exit);
  }

  /// The longest step that asks this cascade; a longer one may belong to the next, which has to be asked.
  T3D_HOST_DEVICE float longest_step(int cascade) const {
    return cascade == n_cascades - 1 ? 1e30f : cascade_side(cascade) / kGridSide;
  }

  /// To the first candidate at or past `exit`, or longer than `longest`; at least one further.
  T3D_HOST_DEVICE void skip(float exit, float dt, float longest) {
    if (config.cone_angle == 0.0f) {
      // A candidate too early, and on from there: rounded, the quotient may lie past the whole number it
      // stands for.
      const int near = static_cast<int>((smaller(exit, t_end) - first) * (1.0f / kMinStep)) - 1;
      n = near > n + 1 ? near : n + 1;
      t = first + static_cast<float>(n) * kMinStep;
      while (t < exit && t < t_end) advance(dt);
      return;
    }
    do {
      t += dt;
      ++n;
      dt = config.step_at(t);
    } while (t < exit && dt <= longest);
  }
};

}  // namespace t3d::ops
