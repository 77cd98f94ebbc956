#pragma once

#include <cstdint>
#include <vector>

#include "t3d/raster/silhouette.h"

/// Antialiasing of n_images images of `grid` on the CPU; see antialias.h. T: float or double.
namespace t3d::raster::cpu {

/// A pair of pixels that is blended.
struct Blend {
  int32_t i;  ///< column of the first pixel
  uint8_t is_vertical, is_second, edge, blends_second, is_clamped;
  double alpha;
};

/// The blends of each row of first pixels, from left to right.
struct Blends {
  std::vector<int64_t> row_start;  ///< [rows + 1]
  std::vector<Blend> blends;
};

template <class T>
Blends find_blends(const PixelGrid& grid, int64_t n_images, const MeshView& mesh, const int32_t* opposite,
                   const T* pos, const T* rast);

/// out [pixels, n_channels], a copy of color before.
template <class T>
void blend(const PixelGrid& grid, int64_t n_images, const Blends& blends, int64_t n_channels, const T* color,
           T* out);

/// d_color [pixels, n_channels], a copy of d_out before.
template <class T>
void blend_backward(const PixelGrid& grid, int64_t n_images, const Blends& blends, int64_t n_channels,
                    const T* d_out, T* d_color);

/// d_pos [places, 4], zeros before.
template <class T>
void blend_backward_pos(const PixelGrid& grid, int64_t n_images, const MeshView& mesh, const Blends& blends,
                        int64_t n_channels, const T* pos, const T* rast, const T* color, const T* d_out,
                        double boost, T* d_pos);

}  // namespace t3d::raster::cpu
