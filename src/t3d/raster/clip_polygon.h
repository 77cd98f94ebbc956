#pragma once

#include "t3d/raster/pixel_grid.h"

/// Clipping to the guard band, |x| <= g_x w and |y| <= g_y w, and thereby to the front of the camera
/// (Sutherland and Hodgman 1974). Near and far planes are not clipped here: they are a test of each pixel.
namespace t3d::raster {

struct ClipPolygon {
  static constexpr int kMax = 7;  ///< three vertices, and one more for each plane
  ClipVertex v[kMax];
  int n = 0;
};

/// Distance from plane `side`, negative outside.
T3D_HOST_DEVICE inline double guard_distance(const PixelGrid& grid, int side, const ClipVertex& v) {
  switch (side) {
    case 0:
      return exact_add(exact_mul(grid.guard_x(), v.w), v.x);
    case 1:
      return exact_add(exact_mul(grid.guard_x(), v.w), -v.x);
    case 2:
      return exact_add(exact_mul(grid.guard_y(), v.w), v.y);
    default:
      return exact_add(exact_mul(grid.guard_y(), v.w), -v.y);
  }
}

/// The point of an edge on plane `side`, from the end inside to the one outside: the same for the two
/// triangles of the edge. It lies on the plane exactly, however far the ends are.
T3D_HOST_DEVICE inline ClipVertex clip_edge(const PixelGrid& grid, int side, const ClipVertex& in,
                                            double d_in, const ClipVertex& out, double d_out) {
  const double t = d_in / (d_in - d_out);
  const auto mix = [t](double a, double b) { return exact_add(a, exact_mul(t, exact_add(b, -a))); };
  ClipVertex v{mix(in.x, out.x), mix(in.y, out.y), mix(in.z, out.z), mix(in.w, out.w)};
  const double sign = side % 2 == 0 ? -1.0 : 1.0;
  if (side < 2)
    v.x = exact_mul(sign * grid.guard_x(), v.w);
  else
    v.y = exact_mul(sign * grid.guard_y(), v.w);
  return v;
}

/// False where nothing with an area remains, or where a coordinate is not finite.
T3D_HOST_DEVICE inline bool clip_to_guard(const PixelGrid& grid, const ClipVertex v[3],
                                          ClipPolygon& polygon) {
  for (int k = 0; k < 3; ++k)
    if (!is_finite(v[k])) return false;
  ClipPolygon from;
  for (int k = 0; k < 3; ++k) polygon.v[k] = v[k];
  polygon.n = 3;
  for (int side = 0; side < 4 && polygon.n > 0; ++side) {
    from = polygon;
    polygon.n = 0;
    for (int n = 0; n < from.n; ++n) {
      const ClipVertex &a = from.v[n], &b = from.v[n + 1 < from.n ? n + 1 : 0];
      const double da = guard_distance(grid, side, a), db = guard_distance(grid, side, b);
      // Rounding may make a convex polygon cross a plane more often than twice.
      if (da >= 0 && polygon.n < ClipPolygon::kMax) polygon.v[polygon.n++] = a;
      if ((da >= 0) != (db >= 0) && polygon.n < ClipPolygon::kMax)
        polygon.v[polygon.n++] =
            da >= 0 ? clip_edge(grid, side, a, da, b, db) : clip_edge(grid, side, b, db, a, da);
    }
  }
  for (int n = 0; n < polygon.n; ++n) {
    // A corner at the camera itself: the triangle is seen edge-on.
    if (!(polygon.v[n].w > 0)) return false;
    // Rounding leaves new corners a little outside.
    const double gx = exact_mul(grid.guard_x(), polygon.v[n].w),
                 gy = exact_mul(grid.guard_y(), polygon.v[n].w);
    double &x = polygon.v[n].x, &y = polygon.v[n].y;
    x = x > gx ? gx : x < -gx ? -gx : x;
    y = y > gy ? gy : y < -gy ? -gy : y;
  }
  return polygon.n >= 3;
}

}  // namespace t3d::raster
