#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "t3d/field/field.h"
#include "t3d/ops/ray_march.h"

namespace t3d::render {

/// Options and defaults are those of threestudio's nerf-volume-renderer.
struct VolumeRendererConfig {
  float radius = 1.0f;               ///< the scene is the cube ±radius
  int num_samples_per_ray = 512;     ///< steps along the cube's diagonal
  int64_t eval_chunk_size = 160000;  ///< samples per call of the field outside training
  bool randomized = true;            ///< jitter the first sample in training
  float near_plane = 0.0f, far_plane = 1e10f;
  bool grid_prune = true;             ///< false: all cells count as occupied
  bool prune_alpha_threshold = true;  ///< drop samples that cannot be seen, before the field's gradient pass
  int grid_resolution = 32;
};

struct VolumeRendering {
  at::Tensor comp_rgb;     ///< [R,3] foreground + background * (1 - opacity)
  at::Tensor comp_rgb_fg;  ///< [R,3]
  at::Tensor opacity;      ///< [R,1]
  at::Tensor depth;        ///< [R,1] sum w t, not divided by the opacity
  at::Tensor z_variance;   ///< [R,1] 0 where opacity <= 0.5
  at::Tensor comp_normal;  ///< [R,3] (unit(sum w n) + 1)/2 * opacity; undefined without normals
  at::Tensor weights;      ///< [S,1]
  at::Tensor points;       ///< [S,3]
  at::Tensor directions;   ///< [S,3]
  ops::RaySamples samples;
  field::FieldSample values;
};

/// Puts a field and an occupancy grid together into pixels. Differentiable in the field's parameters.
/// Max 1995; Mildenhall et al. 2020, arXiv:2003.08934.
class VolumeRenderer {
 public:
  /// Draws come from Philox counters under `seed`: functions of (seed, step, ray).
  explicit VolumeRenderer(const VolumeRendererConfig& config, uint64_t seed = 0);

  /// Refreshes the grid from the field, without gradient. Training calls it at every step; it acts at each
  /// 16th. The grid starts empty: before the first call nothing is rendered (with grid_prune).
  void update(const field::Field& field, int64_t step);

  /// origins, directions [R,3] float, unit directions. background [3], [R,3] or undefined (black).
  /// A view without any sample renders one of length 0, so that the result still depends on the field.
  VolumeRendering render(const field::Field& field, const at::Tensor& origins, const at::Tensor& directions,
                         const at::Tensor& background, int64_t step, bool is_training) const;

  /// Length of a step: 1.732 * 2 * radius / num_samples_per_ray.
  float step_size() const;
  ops::OccupancyGrid& grid() { return grid_; }
  const ops::OccupancyGrid& grid() const { return grid_; }

 private:
  ops::RaySamples sample(const field::Field& field, const at::Tensor& origins, const at::Tensor& directions,
                         int64_t step, bool is_training) const;

  VolumeRendererConfig config_;
  uint64_t seed_;
  ops::OccupancyGrid grid_;
};

}  // namespace t3d::render
