#pragma once

#include <cuda_runtime.h>

#include "t3d/raster/image_rows.h"

/// As cpu::barycentrics_forward() and _backward(), for device pointers. Indices beyond the mesh are not
/// checked.
namespace t3d::raster::cuda {

template <class T>
void barycentrics_forward(const PixelGrid& grid, int64_t n_images, const MeshView& mesh, const T* pos,
                          const int32_t* triangle, int64_t row_stride, T* rast, T* rast_db,
                          cudaStream_t stream);
/// Sums are atomic: their order, and so the last digits, vary.
template <class T>
void barycentrics_backward(const PixelGrid& grid, int64_t n_images, const MeshView& mesh, const T* pos,
                           const int32_t* triangle, int64_t row_stride, const T* d_rast, const T* d_rast_db,
                           T* d_pos, cudaStream_t stream);

}  // namespace t3d::raster::cuda
