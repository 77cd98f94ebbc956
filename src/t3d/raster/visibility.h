#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

/// Which triangle is seen at each pixel's centre. No gradient: rasterize() computes barycentrics of the
/// result.
namespace t3d::raster {

/// One layer of triangles. Rows may be longer than the image is wide; `triangle` is index + 1 there, 0 where
/// no triangle is, and z is z/w, infinite where none is.
struct VisibleLayer {
  at::Tensor triangle;  ///< [B,H,S] int32, S >= W
  at::Tensor z;         ///< [B,H,S] float
};

/// pos, tri and ranges as rasterize() takes them, already checked; contiguous. With `front`, the next layer
/// behind it: the least (z, index) beyond front's.
VisibleLayer visible_layer(const at::Tensor& pos, const at::Tensor& tri, const at::Tensor& ranges,
                           int64_t height, int64_t width, const VisibleLayer* front = nullptr);

}  // namespace t3d::raster
