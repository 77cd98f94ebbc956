#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

/// Half-precision hash grid on CUDA: launchers on raw device pointers. No torch header. Points are 3-D.
namespace t3d::ops::cuda {

constexpr int kMaxGridLevels = 32;

/// What a kernel needs of HashGridLayout, passed by value.
struct HashGridTable {
  int n_levels, n_features;  ///< n_features 2, 4 or 8
  bool smoothstep;
  float scale[kMaxGridLevels];
  uint32_t resolution[kMaxGridLevels], n_entries[kMaxGridLevels], first_entry[kMaxGridLevels];
  bool is_dense[kMaxGridLevels];
};

/// out [n, n_levels*n_features] half, row-major, from points [n,3] that are mapped by x * point_scale + 0.5.
/// n is read from *n_points on the device; the work is shared by a fixed number of blocks.
void hash_grid_forward(const HashGridTable& table, const __half* params, const float* points,
                       float point_scale, const uint32_t* n_points, __half* out, cudaStream_t stream);

/// gradients [P] float += from dy [n, n_levels*n_features] half, with atomic additions.
void hash_grid_backward(const HashGridTable& table, const float* points, float point_scale,
                        const uint32_t* n_points, const __half* dy, float* gradients, cudaStream_t stream);

}  // namespace t3d::ops::cuda
