#pragma once

#include <cstdint>

#include "t3d/raster/image_rows.h"

/// Barycentrics of the pixels of n_images images and their gradient; see barycentrics.h. T: float or double.
namespace t3d::raster::cpu {

/// triangle: image b's row j begins at (b * grid.height + j) * row_stride. rast [B,H,W,4]; rast_db too, or
/// null.
template <class T>
void barycentrics_forward(const PixelGrid& grid, int64_t n_images, const MeshView& mesh, const T* pos,
                          const int32_t* triangle, int64_t row_stride, T* rast, T* rast_db);

/// d_pos [places,4], zeros before. d_rast and d_rast_db as rast and rast_db, either may be null.
template <class T>
void barycentrics_backward(const PixelGrid& grid, int64_t n_images, const MeshView& mesh, const T* pos,
                           const int32_t* triangle, int64_t row_stride, const T* d_rast, const T* d_rast_db,
                           T* d_pos);

}  // namespace t3d::raster::cpu
