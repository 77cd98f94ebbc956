#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "t3d/math/camera.h"
#include "t3d/ops/occupancy_layout.h"

/// Two grids that say where a scene is empty. DensityGrid: the Morton-ordered cascades of instant-NGP, which
/// store raw density. OccupancyGrid: the levels of nerfacc, which store occupancy.
namespace t3d::ops {

struct DensityGridConfig {
  int update_interval = 16;             ///< steps between updates
  int warmup_steps = 256;               ///< updates at earlier steps visit every cell
  float decay = 0.95f;                  ///< of every cell, per update
  float min_optical_thickness = 0.01f;  ///< per smallest step: cells above it are occupied
  /// Density that gives the smallest step (kMinStep) min_optical_thickness: 5.912 by default.
  float density_threshold() const { return min_optical_thickness / kMinStep; }
};

/// What one update visits, in this order: warm-up: all K*128^3 cells. Later, cascade after cascade, M =
/// 128^3/4 uniform cells and then M cells with a set bit (uniform ones while no bit is set).
struct OccupancyPick {
  bool is_warmup = true;
  int n_cascades = 1;
  int64_t size() const { return int64_t{n_cascades} * (is_warmup ? kCellsPerCascade : kCellsPerCascade / 2); }
};

namespace cpu {

/// Numbers of the set bits of one cascade in rising order. `occupied` has room for 128^3. Returns how many.
int64_t list_occupied(const uint8_t* bits, int cascade, uint32_t* occupied);

/// Draws first..first+n of the update: cells [n], points [n,3]. `occupied` [K] lists and `n_occupied` [K]
/// come from list_occupied and are not read in warm-up. Any split into calls gives the same draws.
void pick_cells(const OccupancyPick& pick, uint64_t seed, uint32_t step, int64_t first, int64_t n,
                const uint32_t* const* occupied, const int64_t* n_occupied, uint32_t* cells, float* points);

/// density = density * decay where density >= 0. Once per update, before apply_density.
void decay_density(float* density, int64_t n_cells, float decay);

/// density[cells[i]] = max(density[cells[i]], sigma[i]); cells at -1 stay. Independent of the order.
void apply_density(float* density, const uint32_t* cells, const float* sigma, int64_t n);

/// bits [K*128^3/8] of density [K*128^3]: density > min(mean of the positive cells, density_threshold).
/// A cell of cascade k > 0 is also set when one of the eight cells of cascade k-1 inside it is, so that long
/// steps do not pass over thin structures. Returns the threshold (0 while no cell is positive).
float update_bits(const float* density, int n_cascades, float density_threshold, uint8_t* bits);

/// Sets cells to -1 that no camera sees, or that are nearer than `near_distance` in front of a camera that
/// sees them; the others to 0. A cell is seen when its centre, moved by half its diagonal, can lie in the
/// image. Lens distortion is followed.
void mark_unseen(const Camera* cameras, int64_t n_cameras, int n_cascades, float near_distance,
                 float* density);

}  // namespace cpu

/// The grid of one scene. Tensors live on the CPU here; ops/occupancy_cuda.h has the same steps.
struct DensityGrid {
  at::Tensor density;  ///< [K*128^3] float
  at::Tensor bits;     ///< [K*128^3/8] uint8
  int n_cascades = 1;

  /// All densities 0, all bits set, so that a march before the first update visits everything.
  static DensityGrid create(float aabb_scale);
  /// Density at points [N,3] (scene units) -> [N].
  using DensityFunction = std::function<at::Tensor(const at::Tensor& points)>;
  /// One update at `step` (of a multiple of config.update_interval; the caller decides). Points go to
  /// `density_of` in chunks of at most `chunk`. Returns the threshold.
  float update(const DensityGridConfig& config, uint64_t seed, int64_t step,
               const DensityFunction& density_of, int64_t chunk = 1 << 18);
  void mark_unseen(const std::vector<Camera>& cameras, float near_distance = 0.01f);
  /// Share of cells whose bit is set.
  double occupied_share() const;
};

/// nerfacc's grid (Li et al. 2023, arXiv:2305.04966), as threestudio's renderers use it. Level l covers the
/// box enlarged 2^l times about its centre; cells are x-major.
struct OccupancyGrid {
  at::Tensor occupancy;  ///< [L*X*Y*Z] float
  at::Tensor binary;     ///< [L,X,Y,Z] bool (uint8 also accepted by the march)
  Box3f box;
  int resolution = 32, n_levels = 1;

  /// Empty: nothing is rendered before the first update.
  static OccupancyGrid create(const Box3f& box, int resolution = 32, int n_levels = 1);

  /// The cells that the update at `step` visits [M] int64, and a random point in each [M,3]: before
  /// `warmup_steps` all cells; later, per level, N = cells/4 uniform ones, then the occupied ones (N of them
  /// with replacement, when there are more).
  struct Pick {
    at::Tensor cells, points;
  };
  Pick pick(uint64_t seed, int64_t step, int64_t warmup_steps = 256) const;
  /// occupancy[cells] = max(decay * occupancy[cells], values) for these cells only; cells below 0 stay.
  /// Then binary = occupancy > min(mean of occupancy, max_threshold).
  void apply(const at::Tensor& cells, const at::Tensor& values, float decay = 0.95f,
             float max_threshold = 0.01f);
  /// pick, evaluate, apply, when step % interval == 0.
  void update(uint64_t seed, int64_t step, const std::function<at::Tensor(const at::Tensor& points)>& values,
              int interval = 16);
  void fill(bool is_occupied);
  double mean() const;
};

}  // namespace t3d::ops
