#pragma once

#include <cstdint>

#include "t3d/core/rng.h"  // T3D_HOST_DEVICE

/// Interpolation at one pixel, for the CPU and CUDA.
namespace t3d::raster {

/// What the images are made from. Images' attributes lie as MeshView::corners() says.
template <class T>
struct InterpolationInput {
  const T* attr;        ///< [places, n_attr]
  const T* rast;        ///< [pixels, 4]
  const T* rast_db;     ///< [pixels, 4], or null without derivatives
  const int64_t* diff;  ///< [n_diff] attributes whose derivatives are made
  int64_t n_attr, n_diff;
};

/// Gradients, zeros before: null where not needed.
template <class T>
struct InterpolationGradients {
  T* attr;  ///< [places, n_attr]
  T* rast;  ///< [pixels, 4]
  T* db;    ///< [pixels, 4]; not null when d_out_da is not
};

/// Attributes of a pixel's triangle.
template <class T>
struct CornerValues {
  const T* a[3];  ///< [n_attr] each
};

template <class T>
T3D_HOST_DEVICE CornerValues<T> corner_values(const T* attr, int64_t n_attr, const int64_t place[3]) {
  return {{attr + place[0] * n_attr, attr + place[1] * n_attr, attr + place[2] * n_attr}};
}

/// out [n_attr].
template <class T>
T3D_HOST_DEVICE void interpolate_pixel(const CornerValues<T>& c, int64_t n_attr, const T* rast, T* out) {
  const T u = rast[0], v = rast[1], w = T(1) - u - v;
  for (int64_t n = 0; n < n_attr; ++n) out[n] = u * c.a[0][n] + v * c.a[1][n] + w * c.a[2][n];
}

/// out_da [2 n_diff].
template <class T>
T3D_HOST_DEVICE void interpolate_pixel_derivatives(const CornerValues<T>& c, const InterpolationInput<T>& in,
                                                   const T* db, T* out_da) {
  for (int64_t k = 0; k < in.n_diff; ++k) {
    const int64_t n = in.diff[k];
    const T by_u = c.a[0][n] - c.a[2][n], by_v = c.a[1][n] - c.a[2][n];
    out_da[2 * k] = by_u * db[0] + by_v * db[2];
    out_da[2 * k + 1] = by_u * db[1] + by_v * db[3];
  }
}

/// Adjoint of the former: gradients of u and v added to d_rast's first two, of the corners' attributes given
/// to add(corner, attribute, value).
template <class T, class Add>
T3D_HOST_DEVICE void interpolate_pixel_adjoint(const CornerValues<T>& c, int64_t n_attr, const T* rast,
                                               const T* d_out, T* d_rast, const Add& add) {
  const T u = rast[0], v = rast[1], w = T(1) - u - v;
  T d_u = T(0), d_v = T(0);
  for (int64_t n = 0; n < n_attr; ++n) {
    const T d = d_out[n];
    d_u += d * (c.a[0][n] - c.a[2][n]);
    d_v += d * (c.a[1][n] - c.a[2][n]);
    add(0, n, u * d);
    add(1, n, v * d);
    add(2, n, w * d);
  }
  d_rast[0] += d_u;
  d_rast[1] += d_v;
}

/// Adjoint of the latter: d_db [4] added to.
template <class T, class Add>
T3D_HOST_DEVICE void interpolate_derivatives_adjoint(const CornerValues<T>& c,
                                                     const InterpolationInput<T>& in, const T* db,
                                                     const T* d_out_da, T* d_db, const Add& add) {
  for (int64_t k = 0; k < in.n_diff; ++k) {
    const int64_t n = in.diff[k];
    const T d_x = d_out_da[2 * k], d_y = d_out_da[2 * k + 1];
    const T by_u = c.a[0][n] - c.a[2][n], by_v = c.a[1][n] - c.a[2][n];
    d_db[0] += d_x * by_u;
    d_db[1] += d_y * by_u;
    d_db[2] += d_x * by_v;
    d_db[3] += d_y * by_v;
    const T to_0 = d_x * db[0] + d_y * db[1], to_1 = d_x * db[2] + d_y * db[3];
    add(0, n, to_0);
    add(1, n, to_1);
    add(2, n, -to_0 - to_1);
  }
}

}  // namespace t3d::raster
