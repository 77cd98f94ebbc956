#pragma once

#include "t3d/raster/clip_polygon.h"
#include "t3d/raster/triangle_planes.h"

/// Coverage of a triangle, exact in integers on the subpixel grid.
///
/// The top-left rule: a pixel whose centre lies on an edge is covered if the triangle lies to the right of a
/// left edge or below a top edge, so that of two triangles on both sides of an edge exactly one covers it.
namespace t3d::raster {

/// Where c[k] + x[k] i + y[k] j >= 0 for the three edges, pixel (i, j) is covered.
struct Coverage {
  int64_t c[3];
  int32_t x[3], y[3];
  int32_t i0, j0, i1, j1;  ///< first and last column and row that it can reach, within the image
};

T3D_HOST_DEVICE inline int32_t least(int32_t a, int32_t b) {
  return a < b ? a : b;
}
T3D_HOST_DEVICE inline int32_t most(int32_t a, int32_t b) {
  return a > b ? a : b;
}

/// False where it covers nothing: outside the image, between all pixels' centres, or without area.
T3D_HOST_DEVICE inline bool make_coverage(const PixelGrid& grid, SnappedVertex a, SnappedVertex b,
                                          SnappedVertex c, Coverage& out) {
  // Column i has its centre at kSubpixels i + kSubpixels / 2.
  constexpr int32_t kHalf = kSubpixels / 2;
  out.i0 = most(0, (least(a.x, least(b.x, c.x)) + kHalf - 1) >> kSubpixelBits);
  out.j0 = most(0, (least(a.y, least(b.y, c.y)) + kHalf - 1) >> kSubpixelBits);
  out.i1 = least(grid.width - 1, (most(a.x, most(b.x, c.x)) - kHalf) >> kSubpixelBits);
  out.j1 = least(grid.height - 1, (most(a.y, most(b.y, c.y)) - kHalf) >> kSubpixelBits);
  if (out.i0 > out.i1 || out.j0 > out.j1) return false;
  const int64_t area = int64_t{b.x - a.x} * (c.y - a.y) - int64_t{b.y - a.y} * (c.x - a.x);
  if (area == 0) return false;
  if (area < 0) {
    const SnappedVertex kept = b;
    b = c, c = kept;
  }
  const SnappedVertex from[3] = {b, c, a}, to[3] = {c, a, b};
  for (int k = 0; k < 3; ++k) {
    const int32_t dx = to[k].x - from[k].x, dy = to[k].y - from[k].y;
    // Counterclockwise: a left edge goes down, a top edge goes left.
    const bool is_top_left = dy < 0 || (dy == 0 && dx < 0);
    const int64_t at_first =
        int64_t{dx} * (kHalf - from[k].y) - int64_t{dy} * (kHalf - from[k].x) - (is_top_left ? 0 : 1);
    // A pixel's step is a multiple of kSubpixels: what is below it does not change the sign.
    out.c[k] = at_first >> kSubpixelBits;
    out.x[k] = -dy;
    out.y[k] = dx;
  }
  return true;
}

/// Calls draw(coverage) for the parts of a triangle whose vertices do not all have snapped positions.
template <class Draw>
T3D_HOST_DEVICE void for_clipped_parts(const PixelGrid& grid, const ClipVertex v[3], const Draw& draw) {
  ClipPolygon polygon;
  if (!clip_to_guard(grid, v, polygon)) return;
  SnappedVertex corner[ClipPolygon::kMax];
  for (int n = 0; n < polygon.n; ++n) corner[n] = snap(grid, polygon.v[n]);
  for (int n = 2; n < polygon.n; ++n) {
    Coverage part;
    if (make_coverage(grid, corner[0], corner[n - 1], corner[n], part)) draw(part);
  }
}

}  // namespace t3d::raster
