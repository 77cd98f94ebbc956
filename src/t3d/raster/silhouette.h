#pragma once

#include "t3d/raster/image_rows.h"

/// Where a silhouette passes between two neighbouring pixels, for the CPU and CUDA; see antialias.h.
namespace t3d::raster {

/// Two neighbours: pixel (i, j) is the first one, the second lies to its right or above it.
struct PixelPair {
  int32_t i, j;
  bool is_vertical;
};

/// Of the pair's nearer triangle.
struct Crossing {
  bool is_second;  ///< the second pixel shows it
  int edge;        ///< opposite to that vertex
  double t;        ///< from the pixel that shows it, 0, to the other, 1
  /// t was outside by more than rounding of positions in single precision explains: no gradient.
  bool is_clamped;
  T3D_HOST_DEVICE bool blends_second() const { return (t < 0.5) == is_second; }
  T3D_HOST_DEVICE double alpha() const { return t < 0.5 ? 0.5 - t : t - 0.5; }
};

/// Coordinates in pixels from the centre of the pixel that shows the triangle: `along` towards the other
/// pixel, `across` to it; both times w.
struct PairVertex {
  double along, across, w;
};

struct PairFrame {
  double half_along, half_across;      ///< half the image's sides
  double center_along, center_across;  ///< of the pixel
  double sign;                         ///< along runs against the image's axis: -1
  bool is_vertical;

  T3D_HOST_DEVICE PairFrame(const PixelGrid& grid, const PixelPair& pair, bool is_second)
      : half_along(0.5 * (pair.is_vertical ? grid.height : grid.width)),
        half_across(0.5 * (pair.is_vertical ? grid.width : grid.height)),
        center_along((pair.is_vertical ? pair.j : pair.i) + (is_second ? 1.5 : 0.5)),
        center_across((pair.is_vertical ? pair.i : pair.j) + 0.5),
        sign(is_second ? -1.0 : 1.0),
        is_vertical(pair.is_vertical) {}

  T3D_HOST_DEVICE PairVertex operator()(const ClipVertex& v) const {
    const double x = is_vertical ? v.y : v.x, y = is_vertical ? v.x : v.y;
    return {sign * ((x + v.w) * half_along - center_along * v.w),
            (y + v.w) * half_across - center_across * v.w, v.w};
  }
};

/// On which side of the line from p to r, points with w = 1, the vertex lies; beyond the camera, on which
/// side what is seen of a triangle with that vertex lies.
T3D_HOST_DEVICE inline bool is_left(const PairVertex& p, const PairVertex& r, const PairVertex& v) {
  return (r.along - p.along) * (v.across - p.across * v.w) -
             (r.across - p.across) * (v.along - p.along * v.w) <
         0;
}

/// rast_first, rast_second: the pixels' 4 numbers, with different triangles. opposite: EdgeTopology's.
template <class T>
T3D_HOST_DEVICE bool find_crossing(const PixelGrid& grid, const MeshView& mesh, const int32_t* opposite,
                                   const T* pos, int64_t b, const PixelPair& pair, const T* rast_first,
                                   const T* rast_second, Crossing& out) {
  const bool has_first = rast_first[3] > 0, has_second = rast_second[3] > 0;
  out.is_second = !has_first || (has_second && !(rast_first[2] < rast_second[2]));
  const int64_t f = static_cast<int64_t>(out.is_second ? rast_second[3] : rast_first[3]) - 1;
  int64_t place[3];
  mesh.corners(b, f, place);
  const PairFrame frame(grid, pair, out.is_second);
  const PairVertex whole[3] = {frame(clip_vertex(pos, place[0])), frame(clip_vertex(pos, place[1])),
                               frame(clip_vertex(pos, place[2]))};
  PairVertex v[3];  // with w = 1, of those before the camera
  for (int k = 0; k < 3; ++k) v[k] = {whole[k].along / whole[k].w, whole[k].across / whole[k].w, 1.0};
  out.edge = -1;
  for (int k = 0; k < 3; ++k) {
    const int p = (k + 1) % 3, r = (k + 2) % 3;
    if (!(whole[p].w > 0) || !(whole[r].w > 0)) continue;
    if ((v[p].across < 0) == (v[r].across < 0)) continue;
    const double t = (v[p].along * v[r].across - v[r].along * v[p].across) / (v[r].across - v[p].across);
    if (out.edge >= 0 && !(t > out.t)) continue;
    out.edge = k;
    out.t = t;
  }
  constexpr double kSlack = 1.0 / 16;
  if (out.edge < 0 || !(out.t > -kSlack) || !(out.t < 1 + kSlack)) return false;
  out.is_clamped = out.t < -1e-6 || out.t > 1 + 1e-6;
  out.t = out.t < 0 ? 0 : out.t > 1 ? 1 : out.t;
  const PairVertex &p = v[(out.edge + 1) % 3], &r = v[(out.edge + 2) % 3];
  const double dx = r.along - p.along, dy = r.across - p.across;
  if ((dy < 0 ? -dy : dy) < (dx < 0 ? -dx : dx)) return false;
  const int32_t beyond = opposite[3 * f + out.edge];
  if (beyond < 0) return true;
  const PairVertex other = frame(clip_vertex(pos, b * mesh.vertex_step + beyond));
  return is_left(p, r, other) == is_left(p, r, whole[out.edge]);
}

/// Adds d_t times dt/d(x, y, w) of the three vertices to d_vertex, for a crossing whose t is not clamped.
template <class T>
T3D_HOST_DEVICE void add_crossing_adjoint(const PixelGrid& grid, const MeshView& mesh, const T* pos,
                                          int64_t b, int64_t f, const PixelPair& pair, bool is_second,
                                          int edge, double d_t, double d_vertex[9]) {
  int64_t place[3];
  mesh.corners(b, f, place);
  const PairFrame frame(grid, pair, is_second);
  const int ends[2] = {(edge + 1) % 3, (edge + 2) % 3};
  const ClipVertex clip[2] = {clip_vertex(pos, place[ends[0]]), clip_vertex(pos, place[ends[1]])};
  double along[2], across[2];
  for (int k = 0; k < 2; ++k) {
    const PairVertex v = frame(clip[k]);
    along[k] = v.along / v.w;
    across[k] = v.across / v.w;
  }
  const double extent = across[1] - across[0], r = 1.0 / (extent + (extent < 0 ? -1e-3 : 1e-3));
  const double t = (along[0] * across[1] - along[1] * across[0]) * r;
  const double d_along[2] = {across[1] * r, -across[0] * r};
  const double d_across[2] = {(t - along[1]) * r, (along[0] - t) * r};
  for (int k = 0; k < 2; ++k) {
    const double to_along = d_t * d_along[k] * frame.sign * frame.half_along / clip[k].w;
    const double to_across = d_t * d_across[k] * frame.half_across / clip[k].w;
    const double d_x = frame.is_vertical ? to_across : to_along,
                 d_y = frame.is_vertical ? to_along : to_across;
    double* const d = d_vertex + 3 * ends[k];
    d[0] += d_x;
    d[1] += d_y;
    d[2] -= (d_x * clip[k].x + d_y * clip[k].y) / clip[k].w;
  }
}

}  // namespace t3d::raster
