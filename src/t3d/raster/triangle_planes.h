#pragma once

#include "t3d/raster/pixel_grid.h"

/// What varies over a triangle, as functions of the pixel. With V_k = (x, y, w) of its vertices and the
/// pixel's F = (x/w, y/w, 1), the area opposite to vertex k is a_k = (V_{k+1} x V_{k+2}) . F, and
///   u = a_0 / (a_0 + a_1 + a_2),  v = a_1 / (a_0 + a_1 + a_2),  z/w = sum_k z_k a_k / det(V_0, V_1, V_2).
/// It holds for vertices behind the camera as well (Olano and Greer 1997, "Triangle scan conversion using 2D
/// homogeneous coordinates"). In double: differences of nearly equal products lose no digit of a float
/// result.
namespace t3d::raster {

/// The function c + x i + y j of pixel (i, j).
struct PixelPlane {
  double c, x, y;
  T3D_HOST_DEVICE double at(int32_t i, int32_t j) const {
    return exact_add(exact_add(c, exact_mul(y, j)), exact_mul(x, i));
  }
};

struct Vector3 {
  double x, y, z;
};

T3D_HOST_DEVICE inline Vector3 cross(const Vector3& a, const Vector3& b) {
  return {exact_cross(a.y, b.z, a.z, b.y), exact_cross(a.z, b.x, a.x, b.z), exact_cross(a.x, b.y, a.y, b.x)};
}

/// V_{k+1} x V_{k+2} for k = 0, 1, 2: the edges as lines in homogeneous coordinates.
struct EdgeLines {
  Vector3 e[3];
};

T3D_HOST_DEVICE inline Vector3 homogeneous(const ClipVertex& v) {
  return {v.x, v.y, v.w};
}

T3D_HOST_DEVICE inline EdgeLines edge_lines(const ClipVertex v[3]) {
  const Vector3 a = homogeneous(v[0]), b = homogeneous(v[1]), c = homogeneous(v[2]);
  return {{cross(b, c), cross(c, a), cross(a, b)}};
}

/// l . F as a function of the pixel.
T3D_HOST_DEVICE inline PixelPlane pixel_plane(const PixelGrid& grid, const Vector3& l) {
  const double px = 1.0 / grid.width, py = 1.0 / grid.height;
  return {exact_add(l.z, exact_add(exact_mul(l.x, exact_add(px, -1.0)), exact_mul(l.y, exact_add(py, -1.0)))),
          exact_mul(l.x, exact_add(px, px)), exact_mul(l.y, exact_add(py, py))};
}

/// z/w over a triangle. It stays within what its vertices have when all are in front of the camera: a pixel's
/// centre may lie up to 1/256 pixel outside, where a plane seen edge-on goes far.
struct DepthPlane {
  PixelPlane plane;
  float low, high;
  T3D_HOST_DEVICE float at(int32_t i, int32_t j) const {
    const float z = static_cast<float>(plane.at(i, j)) + 0.0f;  // no negative zero
    const float above = z > low ? z : low;
    return above < high ? above : high;
  }
};

/// Near and far plane.
T3D_HOST_DEVICE inline bool is_between_planes(float z) {
  return z >= -1.0f && z <= 1.0f;
}

T3D_HOST_DEVICE inline DepthPlane depth_plane(const PixelGrid& grid, const ClipVertex v[3],
                                              const EdgeLines& lines) {
  DepthPlane out;
  if (v[0].w > 0 && v[1].w > 0 && v[2].w > 0) {
    const double z0 = v[0].z / v[0].w, z1 = v[1].z / v[1].w, z2 = v[2].z / v[2].w;
    const double low = z0 < z1 ? z0 : z1, high = z0 < z1 ? z1 : z0;
    out.low = static_cast<float>(low < z2 ? low : z2) + 0.0f;
    out.high = static_cast<float>(high < z2 ? z2 : high) + 0.0f;
  } else {
    out.low = -INFINITY;
    out.high = INFINITY;
  }
  const Vector3* e = lines.e;
  const double det =
      exact_add(exact_add(exact_mul(v[0].x, e[0].x), exact_mul(v[0].y, e[0].y)), exact_mul(v[0].w, e[0].z));
  if (det == 0) {  // seen exactly edge-on: its nearest vertex
    out.plane = {static_cast<double>(out.low), 0, 0};
    return out;
  }
  const auto along = [&](double e0, double e1, double e2) {
    return exact_add(exact_add(exact_mul(v[0].z, e0), exact_mul(v[1].z, e1)), exact_mul(v[2].z, e2)) / det;
  };
  out.plane = pixel_plane(
      grid, {along(e[0].x, e[1].x, e[2].x), along(e[0].y, e[1].y, e[2].y), along(e[0].z, e[1].z, e[2].z)});
  return out;
}

/// u, v and their derivatives by the pixel's column and row.
struct Barycentrics {
  double u, v, u_x, u_y, v_x, v_y;
};

/// Areas opposite to vertices 0 and 1, and the sum of all three, as functions of the pixel.
struct AreaPlanes {
  PixelPlane a0, a1, sum;
};

T3D_HOST_DEVICE inline AreaPlanes area_planes(const PixelGrid& grid, const EdgeLines& lines) {
  const PixelPlane a0 = pixel_plane(grid, lines.e[0]), a1 = pixel_plane(grid, lines.e[1]),
                   a2 = pixel_plane(grid, lines.e[2]);
  return {a0, a1, {a0.c + a1.c + a2.c, a0.x + a1.x + a2.x, a0.y + a1.y + a2.y}};
}

/// Clamped to the triangle; all 0 where it is seen exactly edge-on, and where areas are beyond what a double
/// holds.
T3D_HOST_DEVICE inline Barycentrics barycentrics_at(const AreaPlanes& planes, int32_t i, int32_t j) {
  Barycentrics b{};
  const double area = planes.sum.at(i, j), size = area < 0 ? -area : area;
  if (!(size > 1e-300 && size < 1e300)) return b;
  const double r = 1.0 / area;
  b.u = planes.a0.at(i, j) * r;
  b.v = planes.a1.at(i, j) * r;
  b.u = b.u < 0 ? 0 : b.u > 1 ? 1 : b.u;
  b.v = b.v < 0 ? 0 : b.v > 1 ? 1 : b.v;
  const double both = b.u + b.v;
  if (both > 1) b.u /= both, b.v /= both;
  b.u_x = (planes.a0.x - b.u * planes.sum.x) * r;
  b.u_y = (planes.a0.y - b.u * planes.sum.y) * r;
  b.v_x = (planes.a1.x - b.v * planes.sum.x) * r;
  b.v_y = (planes.a1.y - b.v * planes.sum.y) * r;
  return b;
}

/// Adds the derivatives of x, y, w of the three vertices to d_vertex, given those of u, v and of their pixel
/// derivatives at pixel (i, j). The clamp is taken as the identity, and 1/area as 1/(area + 1e-6), away from
/// 0: triangles seen edge-on give large gradients, not infinite ones.
T3D_HOST_DEVICE inline void add_barycentrics_adjoint(const PixelGrid& grid, const ClipVertex vertex[3],
                                                     const EdgeLines& lines, int32_t i, int32_t j,
                                                     const Barycentrics& d, double d_vertex[9]) {
  const Vector3* e = lines.e;
  const double fx = grid.x_of(i), fy = grid.y_of(j);
  double a[3];
  for (int k = 0; k < 3; ++k) a[k] = e[k].x * fx + e[k].y * fy + e[k].z;
  const double area = a[0] + a[1] + a[2], r = 1.0 / (area + (area < 0 ? -1e-6 : 1e-6));
  const double u = a[0] * r, v = a[1] * r;
  const double area_x = e[0].x + e[1].x + e[2].x, area_y = e[0].y + e[1].y + e[2].y;
  // Of u_x = (e0.x - u area_x) r and so on, in clip space: a pixel is 2/W wide.
  const double gux = d.u_x * 2.0 / grid.width * r, guy = d.u_y * 2.0 / grid.height * r;
  const double gvx = d.v_x * 2.0 / grid.width * r, gvy = d.v_y * 2.0 / grid.height * r;
  const double gu = (d.u - gux * area_x - guy * area_y) * r, gv = (d.v - gvx * area_x - gvy * area_y) * r;
  // Through r: every quotient's own value.
  const double slopes = gux * (e[0].x - u * area_x) + guy * (e[0].y - u * area_y) +
                        gvx * (e[1].x - v * area_x) + gvy * (e[1].y - v * area_y);
  const double g_area = -(gu * u + gv * v + slopes * r);
  const double g_area_x = -(gux * u + gvx * v), g_area_y = -(guy * u + gvy * v);
  const double ga[3] = {gu + g_area, gv + g_area, g_area};
  const double gx[3] = {gux + g_area_x, gvx + g_area_x, g_area_x};
  const double gy[3] = {guy + g_area_y, gvy + g_area_y, g_area_y};
  for (int k = 0; k < 3; ++k) {
    // d(b x c) . g: b gets c x g, c gets g x b.
    const Vector3 g{ga[k] * fx + gx[k], ga[k] * fy + gy[k], ga[k]};
    const int b = (k + 1) % 3, c = (k + 2) % 3;
    const Vector3 to_b = cross(homogeneous(vertex[c]), g), to_c = cross(g, homogeneous(vertex[b]));
    d_vertex[3 * b] += to_b.x, d_vertex[3 * b + 1] += to_b.y, d_vertex[3 * b + 2] += to_b.z;
    d_vertex[3 * c] += to_c.x, d_vertex[3 * c + 1] += to_c.y, d_vertex[3 * c + 2] += to_c.z;
  }
}

}  // namespace t3d::raster
