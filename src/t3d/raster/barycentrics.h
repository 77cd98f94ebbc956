#pragma once

#include <ATen/core/Tensor.h>

#include "t3d/raster/rasterize.h"

namespace t3d::raster {

/// What rasterize() returns, of given triangles: barycentrics, depth and derivatives at the pixels' centres,
/// whether the triangle covers them or not.
///   triangle  [B,H,W] int32, index + 1, 0 for none; only its last dimension need be contiguous
/// Differentiable in pos [B,V,4] or [V,4]. Throws UserError for an index beyond tri's (on the CPU).
///
/// Gradients sum in the order of the pixels on the CPU, whatever the number of threads; on CUDA their order,
/// and so the last digits, vary.
Rasterized barycentrics(const at::Tensor& pos, const at::Tensor& tri, const at::Tensor& triangle,
                        bool derivatives = true);

}  // namespace t3d::raster
