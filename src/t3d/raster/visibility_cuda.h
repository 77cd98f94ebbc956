#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "t3d/raster/pixel_grid.h"

namespace t3d::raster::cuda {

/// As cpu::draw_image(), with rows of grid.width. front_z and front_id may both be null. Scratch: keys
/// [pixels] and large [count + 1]. The result does not depend on the order in which triangles are drawn.
template <class T>
void draw_image(const PixelGrid& grid, const T* pos, const int32_t* tri, int64_t first, int64_t count,
                const float* front_z, const int32_t* front_id, int64_t* keys, int32_t* large, float* z,
                int32_t* id, cudaStream_t stream);

}  // namespace t3d::raster::cuda
