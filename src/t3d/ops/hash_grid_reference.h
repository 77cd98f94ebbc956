#pragma once

#include <array>
#include <cmath>
#include <cstdint>

#include "t3d/ops/hash_grid_layout.h"

/// The hash grid written for reading: one sample at a time, straight from the formulas of hash_grid_layout.h,
/// in float or double. The fast kernels and the CUDA kernels are tested against it, and gradients in double
/// are checked against finite differences of it.
///
/// All arrays are row-major: x, v, dx [n,D]; y, dy [n,L*F]; params, dparams [P].
namespace t3d::ops::reference {

/// The 2^D vertices around a point in one level: entry numbers, blending weights, and the weights' first and
/// second derivatives by x.
template <class T>
struct HashGridCorners {
  std::array<uint32_t, 16> entry;
  std::array<T, 16> weight;
  std::array<std::array<T, 4>, 16> d_weight;
  std::array<std::array<std::array<T, 4>, 4>, 16> d2_weight;
};

/// Towards minus infinity as int32; values beyond its range (and NaN) give its smallest number.
template <class T>
uint32_t cell_of(T floored) {
  const bool fits = floored >= T(-2147483648.0) && floored < T(2147483648.0);
  return static_cast<uint32_t>(fits ? static_cast<int32_t>(floored) : INT32_MIN);
}

inline uint32_t entry_of(const HashGridLevel& level, int n_dims, const std::array<uint32_t, 4>& vertex) {
  constexpr std::array<uint32_t, 4> kPrimes = {1u, 2654435761u, 805459861u, 3674653429u};
  uint32_t index = 0, stride = 1;
  for (int d = 0; d < n_dims; ++d) {
    if (level.is_dense) {
      index += vertex[d] * stride;
      stride *= level.resolution;
    } else {
      index ^= vertex[d] * kPrimes[d];
    }
  }
  return index % level.n_entries;
}

template <class T>
HashGridCorners<T> corners(const HashGridLayout& layout, const HashGridLevel& level, const T* x) {
  const int n_dims = layout.config.n_dims;
  const T scale = static_cast<T>(level.scale);
  std::array<uint32_t, 4> cell{};
  std::array<T, 4> f{}, df{}, d2f{};  // blending fraction and its derivatives by x
  for (int d = 0; d < n_dims; ++d) {
    const T position = std::fma(x[d], scale, T(0.5));
    const T floored = std::floor(position);
    const T u = position - floored;
    cell[d] = cell_of(floored);
    const bool smooth = layout.config.interpolation == Interpolation::Smoothstep;
    f[d] = smooth ? u * u * (3 - 2 * u) : u;
    df[d] = smooth ? 6 * u * (1 - u) * scale : scale;
    d2f[d] = smooth ? (6 - 12 * u) * scale * scale : T(0);
  }
  HashGridCorners<T> out;
  for (int c = 0; c < 1 << n_dims; ++c) {
    std::array<uint32_t, 4> vertex{};
    std::array<T, 4> w{}, dw{}, d2w{};
    for (int d = 0; d < n_dims; ++d) {
      const bool upper = (c >> d) & 1;
      vertex[d] = cell[d] + (upper ? 1u : 0u);
      w[d] = upper ? f[d] : 1 - f[d];
      dw[d] = upper ? df[d] : -df[d];
      d2w[d] = upper ? d2f[d] : -d2f[d];
    }
    out.entry[c] = entry_of(level, n_dims, vertex);
    out.weight[c] = 1;
    for (int d = 0; d < n_dims; ++d) out.weight[c] *= w[d];
    for (int i = 0; i < n_dims; ++i) {
      out.d_weight[c][i] = 1;
      for (int d = 0; d < n_dims; ++d) out.d_weight[c][i] *= d == i ? dw[d] : w[d];
      for (int j = 0; j < n_dims; ++j) {
        out.d2_weight[c][i][j] = 1;
        for (int d = 0; d < n_dims; ++d)
          out.d2_weight[c][i][j] *= d == i && d == j ? d2w[d] : d == i || d == j ? dw[d] : w[d];
      }
    }
  }
  return out;
}

/// visit(sample, level number, corners, first parameter of the level) for every sample and active level.
template <class T, class Visit>
void for_each_cell(const HashGridLayout& layout, const T* x, int64_t n, int n_active_levels, Visit visit) {
  const int n_levels = n_active_levels < 0 ? layout.config.n_levels : n_active_levels;
  for (int64_t i = 0; i < n; ++i)
    for (int l = 0; l < n_levels; ++l)
      visit(i, l, corners(layout, layout.levels[l], x + i * layout.config.n_dims),
            int64_t{layout.levels[l].first_entry} * layout.config.n_features);
}

/// y is overwritten.
template <class T>
void hash_grid_forward(const HashGridLayout& layout, const T* params, const T* x, int64_t n, T* y,
                       int n_active_levels = -1) {
  const int n_features = layout.config.n_features, n_corners = 1 << layout.config.n_dims;
  for (int64_t i = 0; i < n * layout.n_outputs(); ++i) y[i] = 0;
  for_each_cell(layout, x, n, n_active_levels,
                [&](int64_t i, int l, const HashGridCorners<T>& k, int64_t first) {
                  for (int c = 0; c < n_corners; ++c)
                    for (int f = 0; f < n_features; ++f)
                      y[i * layout.n_outputs() + l * n_features + f] +=
                          k.weight[c] * params[first + int64_t{k.entry[c]} * n_features + f];
                });
}

/// dparams is added to.
template <class T>
void hash_grid_backward_params(const HashGridLayout& layout, const T* x, int64_t n, const T* dy, T* dparams,
                               int n_active_levels = -1) {
  const int n_features = layout.config.n_features, n_corners = 1 << layout.config.n_dims;
  for_each_cell(layout, x, n, n_active_levels,
                [&](int64_t i, int l, const HashGridCorners<T>& k, int64_t first) {
                  for (int c = 0; c < n_corners; ++c)
                    for (int f = 0; f < n_features; ++f)
                      dparams[first + int64_t{k.entry[c]} * n_features + f] +=
                          k.weight[c] * dy[i * layout.n_outputs() + l * n_features + f];
                });
}

/// dx is overwritten.
template <class T>
void hash_grid_backward_input(const HashGridLayout& layout, const T* params, const T* x, int64_t n,
                              const T* dy, T* dx, int n_active_levels = -1) {
  const int n_dims = layout.config.n_dims, n_features = layout.config.n_features, n_corners = 1 << n_dims;
  for (int64_t i = 0; i < n * n_dims; ++i) dx[i] = 0;
  for_each_cell(layout, x, n, n_active_levels,
                [&](int64_t i, int l, const HashGridCorners<T>& k, int64_t first) {
                  for (int c = 0; c < n_corners; ++c)
                    for (int f = 0; f < n_features; ++f) {
                      const T value = params[first + int64_t{k.entry[c]} * n_features + f] *
                                      dy[i * layout.n_outputs() + l * n_features + f];
                      for (int d = 0; d < n_dims; ++d) dx[i * n_dims + d] += k.d_weight[c][d] * value;
                    }
                });
}

/// The gradients of sum(dx * v), with dx as hash_grid_backward_input gives it: by dy (overwritten), by params
/// (added to) and by x (overwritten). Each may be null.
template <class T>
void hash_grid_backward_backward_input(const HashGridLayout& layout, const T* params, const T* x, int64_t n,
                                       const T* dy, const T* v, T* ddy, T* dparams, T* dx2,
                                       int n_active_levels = -1) {
  const int n_dims = layout.config.n_dims, n_features = layout.config.n_features, n_corners = 1 << n_dims;
  const int n_outputs = layout.n_outputs();
  for (int64_t i = 0; ddy != nullptr && i < n * n_outputs; ++i) ddy[i] = 0;
  for (int64_t i = 0; dx2 != nullptr && i < n * n_dims; ++i) dx2[i] = 0;
  for_each_cell(layout, x, n, n_active_levels,
                [&](int64_t i, int l, const HashGridCorners<T>& k, int64_t first) {
                  for (int c = 0; c < n_corners; ++c) {
                    T along = 0;                 // derivative of the weight along v
                    std::array<T, 4> d_along{};  // and its gradient
                    for (int d = 0; d < n_dims; ++d) {
                      along += k.d_weight[c][d] * v[i * n_dims + d];
                      for (int e = 0; e < n_dims; ++e) d_along[d] += k.d2_weight[c][d][e] * v[i * n_dims + e];
                    }
                    for (int f = 0; f < n_features; ++f) {
                      const int64_t out = i * n_outputs + l * n_features + f;
                      const int64_t p = first + int64_t{k.entry[c]} * n_features + f;
                      if (ddy != nullptr) ddy[out] += along * params[p];
                      if (dparams != nullptr) dparams[p] += along * dy[out];
                      for (int d = 0; dx2 != nullptr && d < n_dims; ++d)
                        dx2[i * n_dims + d] += d_along[d] * params[p] * dy[out];
                    }
                  }
                });
}

}  // namespace t3d::ops::reference
