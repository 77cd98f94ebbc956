#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <functional>

#include "t3d/math/vec.h"
#include "t3d/ops/occupancy.h"
#include "t3d/ops/ray_march_step.h"

namespace t3d::ops {

/// Samples of many rays, ray after ray: those of ray r are ray_start[r] .. ray_start[r+1]-1.
struct RaySamples {
  at::Tensor ray_start;    ///< [R+1] int32
  at::Tensor ray_indices;  ///< [S] int64
  at::Tensor t;            ///< [S] middle of the interval
  at::Tensor dt;           ///< [S] length of the interval
  int64_t n_rays() const { return ray_start.size(0) - 1; }
  int64_t n_samples() const { return t.size(0); }
  at::Tensor t_starts() const;  ///< [S] t - dt/2
  at::Tensor t_ends() const;    ///< [S] t + dt/2
  RaySamples to(c10::Device device) const;
};

namespace cpu {

/// Samples per ray [R] that march_write will write: the count of the first pass.
///   origins, directions  [R,3], unit directions
///   jitter               [R] in [0,1), or null: 0.5
void march_count(const float* origins, const float* directions, const float* jitter, int64_t n_rays,
                 const uint8_t* bits, int n_cascades, const MarchConfig& config, int32_t* counts);

/// ray_start [R+1] = exclusive sum of counts. Rays from the first one that would pass `capacity` on get no
/// samples (their ray_start repeats). Returns how many rays fit.
int64_t exclusive_scan(const int32_t* counts, int64_t n_rays, int64_t capacity, int32_t* ray_start);

/// Second pass. `positions` [S,3] (scene units) and `ray_indices` [S] may be null.
void march_write(const float* origins, const float* directions, const float* jitter, int64_t n_rays,
                 const uint8_t* bits, int n_cascades, const MarchConfig& config, const int32_t* ray_start,
                 float* t, float* dt, float* positions, int32_t* ray_indices);

/// march_count, exclusive_scan and march_write in one march (each block of rays keeps its samples until the
/// scan): same results, half the time. t, dt [capacity]; positions [capacity,3] or null. Returns the rays
/// that fit.
int64_t march_rays(const float* origins, const float* directions, const float* jitter, int64_t n_rays,
                   const uint8_t* bits, int n_cascades, const MarchConfig& config, int64_t capacity,
                   int32_t* ray_start, float* t, float* dt, float* positions, int32_t* ray_indices);

/// nerfacc's box test. Entry and exit [R]; a ray that misses, or whose box lies behind it, gets `miss` twice
/// and hit 0; an origin inside gives the negative entry.
void ray_box(const float* origins, const float* directions, int64_t n_rays, const float* box_min,
             const float* box_max, float miss, float* t_min, float* t_max, uint8_t* hit);

}  // namespace cpu

struct RayBoxHits {
  at::Tensor t_min, t_max;  ///< [R], 1e10 where missed
  at::Tensor hit;           ///< [R] bool
};
/// Slab test (nerfacc's conventions, see cpu::ray_box). float or double, CPU. Not differentiable.
RayBoxHits intersect_box(const at::Tensor& origins, const at::Tensor& directions, const Box3f& box,
                         double miss = 1e10);

/// Instant-NGP's march through `grid`. origins, directions [R,3] float CPU; jitter [R] or undefined (0.5).
RaySamples march(const at::Tensor& origins, const at::Tensor& directions, const DensityGrid& grid,
                 const MarchConfig& config, const at::Tensor& jitter = {});
/// The same samples found by testing every point of the lattice.
RaySamples march_reference(const at::Tensor& origins, const at::Tensor& directions, const DensityGrid& grid,
                           const MarchConfig& config, const at::Tensor& jitter = {});

/// nerfacc's lattice: t_{k+1} = t_k + max(step, t_k * cone_angle) from t_0 = near + jitter*step, a sample for
/// each interval whose middle lies in an occupied cell between the near and far planes.
struct LatticeConfig {
  float step = 1e-2f;
  float near_plane = 0.0f, far_plane = 1e10f;
  float cone_angle = 0.0f;
};
/// jitter [R] in [0,1) or undefined: none (0).
RaySamples sample_lattice(const at::Tensor& origins, const at::Tensor& directions, const OccupancyGrid& grid,
                          const LatticeConfig& config, const at::Tensor& jitter = {});
/// The same for one level and even steps by testing all points of the lattice at once, in tensor operations:
/// what CUDA tensors take. Points within rounding of a cell's wall may fall to either side.
RaySamples sample_lattice_dense(const at::Tensor& origins, const at::Tensor& directions,
                                const OccupancyGrid& grid, const LatticeConfig& config,
                                const at::Tensor& jitter = {});

/// Rows of `samples` where keep [S] (bool) is true.
RaySamples select_samples(const RaySamples& samples, const at::Tensor& keep);

}  // namespace t3d::ops
