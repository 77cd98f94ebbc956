#pragma once

#include <cuda_runtime.h>

#include "t3d/raster/image_rows.h"
#include "t3d/raster/interpolate_pixel.h"

/// As cpu::interpolate_forward() and _backward(), for device pointers. Indices beyond the mesh are not
/// checked.
namespace t3d::raster::cuda {

template <class T>
void interpolate_forward(const PixelGrid& grid, int64_t n_images, const MeshView& mesh,
                         const InterpolationInput<T>& in, T* out, T* out_da, cudaStream_t stream);
/// Sums at vertices are atomic: their order, and so the last digits, vary.
template <class T>
void interpolate_backward(const PixelGrid& grid, int64_t n_images, const MeshView& mesh,
                          const InterpolationInput<T>& in, const T* d_out, const T* d_out_da,
                          const InterpolationGradients<T>& to, cudaStream_t stream);

}  // namespace t3d::raster::cuda
