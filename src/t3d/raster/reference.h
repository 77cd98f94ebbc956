#pragma once

#include <ATen/core/Tensor.h>

#include "t3d/raster/rasterize.h"

/// The definitions, written down: loops over all triangles for each pixel, and tensor functions whose
/// gradients are autograd's. Slow; for tests. CPU, float or double; arguments and results as those of the
/// functions they are named after, with pos [B,V,4].
namespace t3d::raster {

/// Triangles in front of the camera are snapped to 1/256 pixel; others are not, so that at their edges pixels
/// may differ. Gradients lack the offset of 1e-6 of 1/area.
Rasterized rasterize_reference(const at::Tensor& pos, const at::Tensor& tri, int64_t height, int64_t width);

/// attr [B,V,A] or [1,V,A].
at::Tensor interpolate_reference(const at::Tensor& attr, const at::Tensor& rast, const at::Tensor& tri);

/// Gradients lack the offset of 1/1000 of 1/d. All vertices must be in front of the camera.
at::Tensor antialias_reference(const at::Tensor& color, const at::Tensor& rast, const at::Tensor& pos,
                               const at::Tensor& tri);

}  // namespace t3d::raster
