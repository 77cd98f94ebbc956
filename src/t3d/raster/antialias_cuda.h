#pragma once

#include <cuda_runtime.h>

#include "t3d/raster/image_rows.h"

/// Antialiasing for device pointers; see antialias.h. Indices beyond the mesh are not checked.
namespace t3d::raster::cuda {

/// out [pixels, n_channels] is written.
template <class T>
void antialias_forward(const PixelGrid& grid, int64_t n_images, const MeshView& mesh, const int32_t* opposite,
                       const T* pos, const T* rast, int64_t n_channels, const T* color, T* out,
                       cudaStream_t stream);
/// d_color [pixels, n_channels] is written and d_pos [places, 4], zeros before, added to; either may be null.
/// The latter's sums are atomic: their order, and so the last digits, vary.
template <class T>
void antialias_backward(const PixelGrid& grid, int64_t n_images, const MeshView& mesh,
                        const int32_t* opposite, const T* pos, const T* rast, int64_t n_channels,
                        const T* color, const T* d_out, double boost, T* d_color, T* d_pos,
                        cudaStream_t stream);

}  // namespace t3d::raster::cuda
