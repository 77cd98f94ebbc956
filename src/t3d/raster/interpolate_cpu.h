#pragma once

#include <cstdint>

#include "t3d/raster/image_rows.h"
#include "t3d/raster/interpolate_pixel.h"

/// Interpolation over n_images images of `grid` and its gradient; see interpolate.h. T: float or double.
namespace t3d::raster::cpu {

/// out [pixels, n_attr]; out_da [pixels, 2 n_diff], or null.
template <class T>
void interpolate_forward(const PixelGrid& grid, int64_t n_images, const MeshView& mesh,
                         const InterpolationInput<T>& in, T* out, T* out_da);

/// d_out [pixels, n_attr] and d_out_da [pixels, 2 n_diff]: either may be null.
template <class T>
void interpolate_backward(const PixelGrid& grid, int64_t n_images, const MeshView& mesh,
                          const InterpolationInput<T>& in, const T* d_out, const T* d_out_da,
                          const InterpolationGradients<T>& to);

}  // namespace t3d::raster::cpu
