#pragma once

#include <cstdint>

#include "t3d/raster/spans.h"

namespace t3d::raster::cpu {

/// Draws triangles `first` .. first + count - 1 of tri [F,3] with vertices pos [V,4] into an image whose
/// pixels are empty. The same for any number of threads. T: float or double.
template <class T>
void draw_image(const PixelGrid& grid, const T* pos, int64_t n_vertices, const int32_t* tri, int64_t first,
                int64_t count, const DepthImage& image, const DepthImage* front);

}  // namespace t3d::raster::cpu
