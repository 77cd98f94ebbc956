#pragma once

#include <cmath>
#include <cstdint>

#include "t3d/core/rng.h"  // T3D_HOST_DEVICE

/// Clip space, pixels and the subpixel grid, for the CPU and CUDA. Pixel (i, j) has its centre at
///   x/w = (2i + 1)/W - 1,  y/w = (2j + 1)/H - 1:  row 0 is at the bottom, y = -1.
namespace t3d::raster {

constexpr int kSubpixelBits = 8;
constexpr int32_t kSubpixels = 1 << kSubpixelBits;  ///< vertices are snapped to 1/256 pixel
constexpr int64_t kMaxSide = 16384;                 ///< of an image, in pixels
/// Snapped coordinates lie within this many pixels around the image; triangles that reach farther are
/// clipped. Differences are then below 2^25 subpixels, sums over 16 pixels below 2^29, and nothing overflows.
constexpr int64_t kGuardPixels = 65000;

/// Products, sums and differences of their own rounding each: what decides about coverage is the same to the
/// bit on every processor. Files that use them are compiled with -ffp-contract=off.
T3D_HOST_DEVICE inline double exact_mul(double a, double b) {
#ifdef __CUDA_ARCH__
  return __dmul_rn(a, b);
#else
  return a * b;
#endif
}
T3D_HOST_DEVICE inline double exact_add(double a, double b) {
#ifdef __CUDA_ARCH__
  return __dadd_rn(a, b);
#else
  return a + b;
#endif
}
/// a b - c d.
T3D_HOST_DEVICE inline double exact_cross(double a, double b, double c, double d) {
  return exact_add(exact_mul(a, b), -exact_mul(c, d));
}

struct PixelGrid {
  int32_t width, height;
  /// Where clipping starts, as |x/w| and |y/w|.
  T3D_HOST_DEVICE double guard_x() const { return 2.0 * kGuardPixels / width - 1.0; }
  T3D_HOST_DEVICE double guard_y() const { return 2.0 * kGuardPixels / height - 1.0; }
  /// x/w of the centres of column i, y/w of row j.
  T3D_HOST_DEVICE double x_of(int32_t i) const { return (2.0 * i + 1.0) / width - 1.0; }
  T3D_HOST_DEVICE double y_of(int32_t j) const { return (2.0 * j + 1.0) / height - 1.0; }
};

/// A vertex in clip space.
struct ClipVertex {
  double x, y, z, w;
};

template <class T>
T3D_HOST_DEVICE ClipVertex clip_vertex(const T* pos, int64_t v) {
  return {static_cast<double>(pos[4 * v]), static_cast<double>(pos[4 * v + 1]),
          static_cast<double>(pos[4 * v + 2]), static_cast<double>(pos[4 * v + 3])};
}

T3D_HOST_DEVICE inline bool is_finite(const ClipVertex& v) {
  // Differences of a number and itself are 0 unless it is infinite or not a number.
  return v.x - v.x == 0 && v.y - v.y == 0 && v.z - v.z == 0 && v.w - v.w == 0;
}

/// In front of the camera and within the guard band: its snapped position exists.
T3D_HOST_DEVICE inline bool is_inside_guard(const PixelGrid& grid, const ClipVertex& v) {
  const double gx = exact_mul(grid.guard_x(), v.w), gy = exact_mul(grid.guard_y(), v.w);
  return is_finite(v) && v.w > 0 && v.x <= gx && v.x >= -gx && v.y <= gy && v.y >= -gy;
}

/// A vertex on the subpixel grid, from the lower left corner of the image.
struct SnappedVertex {
  int32_t x, y;
};

T3D_HOST_DEVICE inline int32_t snap_coordinate(double x, double w, int32_t side) {
  const double half = exact_mul(side, 0.5 * kSubpixels);
  return static_cast<int32_t>(floor(exact_add(exact_add(exact_mul(x / w, half), half), 0.5)));
}

/// Of a vertex for which is_inside_guard() holds.
T3D_HOST_DEVICE inline SnappedVertex snap(const PixelGrid& grid, const ClipVertex& v) {
  return {snap_coordinate(v.x, v.w, grid.width), snap_coordinate(v.y, v.w, grid.height)};
}

}  // namespace t3d::raster
