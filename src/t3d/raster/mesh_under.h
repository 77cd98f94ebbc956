#pragma once

#include <ATen/core/Tensor.h>

#include "t3d/raster/image_rows.h"

namespace t3d::raster {

/// The triangles with values [B,V,N] for each image, or [1,V,N] or [V,N] for all of them. tri is contiguous.
inline MeshView mesh_under(const at::Tensor& values, const at::Tensor& tri) {
  return {tri.data_ptr<int32_t>(), tri.size(0), values.size(-2),
          values.dim() == 3 && values.size(0) > 1 ? values.size(1) : 0};
}

/// Of images [B,H,W,...].
inline PixelGrid grid_of(const at::Tensor& image) {
  return {static_cast<int32_t>(image.size(2)), static_cast<int32_t>(image.size(1))};
}

}  // namespace t3d::raster
