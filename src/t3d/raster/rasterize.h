#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "t3d/raster/visibility.h"

/// Rasterization of triangles with derivatives: Laine et al. 2020, "Modular primitives for high-performance
/// differentiable rendering", arXiv:2011.03277, section 3.3. docs/rasterization.md has the conventions.
///
/// Which triangle a pixel sees: vertices are snapped to 1/256 pixel, and a triangle covers a pixel if its
/// centre lies inside, or on a left or top edge. Triangles that share an edge neither both cover a pixel
/// there nor both miss it. Both sides of a triangle are drawn. Of those that cover a pixel with z/w in [-1,
/// 1] the smallest z/w (as a float) wins, and of equal ones the lowest index. What lies behind the camera (w
/// <= 0) is cut off; triangles without area on the grid, or with a coordinate that is not finite, cover
/// nothing.
namespace t3d::raster {

struct Rasterized {
  at::Tensor rast;  ///< [B,H,W,4] u, v, z/w, index of the triangle + 1; all 0 where there is none
  at::Tensor
      rast_db;  ///< [B,H,W,4] du/dX, du/dY, dv/dX, dv/dY for a step of one pixel; 0 where there is none
};

struct RasterizeOptions {
  /// [B,2] int32 on the CPU: the first triangle of each image and their number. Then pos is [V,4].
  at::Tensor ranges;
  /// Whether rast_db is made; undefined otherwise.
  bool derivatives = true;
};

/// The nearest triangle of each pixel.
///   pos      [B,V,4]  clip space, float or double; [V,4] with options.ranges
///   tri      [F,3]    int32, F <= kMaxTriangles; on pos's device
///   returns  u belongs to vertex 0 and v to vertex 1 of the triangle, 1 - u - v to vertex 2, all
///   perspective-correct and clamped
///            to the triangle. Row 0 has y/w = -1. Sides are at most kMaxSide.
/// Differentiable in pos through u, v and rast_db, which gives x, y and w gradients; none through z/w and the
/// index. Double tensors see the triangles that float positions of the same value see.
/// Throws UserError for a size or an index beyond the limits.
/// Cost on the CPU: docs/rasterization.md.
Rasterized rasterize(const at::Tensor& pos, const at::Tensor& tri, int64_t height, int64_t width,
                     const RasterizeOptions& options = {});

/// The layers behind the nearest one (Everitt 2001, "Interactive order-independent transparency").
///   DepthPeeler peeler(pos, tri, height, width);
///   const Rasterized nearest = peeler.next_layer(), second = peeler.next_layer();
class DepthPeeler {
 public:
  /// Arguments as for rasterize().
  DepthPeeler(const at::Tensor& pos, const at::Tensor& tri, int64_t height, int64_t width,
              const RasterizeOptions& options = {});

  /// Of each pixel the least (z/w, index) greater than the previous layer's; empty behind the last one.
  /// Surfaces at the same depth come one after the other.
  Rasterized next_layer();

 private:
  at::Tensor pos_, tri_;
  int64_t height_, width_;
  RasterizeOptions options_;
  VisibleLayer last_;
};

}  // namespace t3d::raster
