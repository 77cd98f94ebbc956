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
    low = fmaxf(low, fminf(a, b));
    high = fminf(high, fmaxf(a, b));
  }
  *t_min = low;
  *t_max = high;
  return low < high && high > 0.0f && high < 1e20f;  // no limit at all: not a number, or no direction
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
      inverse_d[i] = 1.0f / (d[i] < 0.0f ? fminf(d[i], -1e-9f) : fmaxf(d[i], 1e-9f));
    }
    float t_min;
    if (!cube_interval(o, inverse_d, 0.5f * config.aabb_scale, &t_min, &t_end)) {
      t_end = -1.0f;
      return;
    }
    const float entry = fmaxf(t_min, config.near_distance);
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
      const float x = o[0] + t * d[0], y = o[1] + t * d[1], z = o[2] + t * d[2];
      const float dt = config.step_at(t);
      int cascade = 0;
      if (n_cascades > 1) {
        const float largest = fmaxf(fabsf(x), fmaxf(fabsf(y), fabsf(z)));
        const int by_position = cascade_of_position(largest, n_cascades);
        const int by_step = cascade_of_step(dt, n_cascades);
        cascade = by_position > by_step ? by_position : by_step;
      }
      const uint32_t cell = cell_number(x, y, z, cascade);
      if (bits[cell >> 3] & (1u << (cell & 7u))) {
        *t_sample = t;
        *dt_sample = dt;
        advance(dt);
        return true;
      }
      skip(block_exit(bits, cell, cascade), dt);
    }
    return false;
  }

 private:
  /// Where the ray leaves the empty cell, or the empty block of 4^3 cells around it; a little before.
  T3D_HOST_DEVICE float block_exit(const uint8_t* bits, uint32_t cell, int cascade) const {
    const uint64_t word = *reinterpret_cast<const uint64_t*>(bits + ((cell >> 6) << 3));
    const int size = word == 0 ? 4 : 1;
    const uint32_t code = cell % kCellsPerCascade;
    const float side = cascade_side(cascade), width = side / kGridSide;
    float exit = 1e30f;
    for (int i = 0; i < 3; ++i) {
      const int corner = static_cast<int>(morton_gather(code >> i)) & ~(size - 1);
      const float wall = static_cast<float>(d[i] < 0.0f ? corner : corner + size) * width - 0.5f * side;
      exit = fminf(exit, (wall - o[i]) * inverse_d[i]);
    }
    // Rounding must not carry the march past a sample that the next cell owns: stop short, then look again.
    return exit - 2e-6f * (1.0f + fabsf(exit));
  }

  /// To the first candidate at or past `exit`, at least one further.
  T3D_HOST_DEVICE void skip(float exit, float dt) {
    if (config.cone_angle == 0.0f) {
      const float steps = ceilf((fminf(exit, t_end) - first) * (1.0f / kMinStep));
      n = steps > static_cast<float>(n + 1) ? static_cast<int>(steps) : n + 1;
      t = first + static_cast<float>(n) * kMinStep;
      return;
    }
    do {
      t += dt;
      ++n;
      dt = config.step_at(t);
    } while (t < exit);
  }
};

}  // namespace t3d::ops
