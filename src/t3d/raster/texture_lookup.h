#pragma once

#include <cmath>
#include <cstdint>

#include "t3d/core/rng.h"  // T3D_HOST_DEVICE
#include "t3d/raster/cube_faces.h"

/// One texture lookup and its adjoint, for float (fast) and double, shared by CPU and CUDA: texture.h says
/// what they compute.
namespace t3d::raster::lookup {

constexpr int kMaxLevels = 16;

enum class Filter { Nearest, Linear, MipmapNearest, MipmapLinear };
enum class Boundary { Wrap, Clamp, Zero, Cube };

/// Where the texels of all levels are: level l is [n_images,H,W,C], or [n_images,6,N,N,C] for a cube.
template <class T>
struct TextureView {
  const T* levels[kMaxLevels];
  int height[kMaxLevels], width[kMaxLevels];
  int64_t first_texel[kMaxLevels];  ///< of a level, where the gradients of all levels are in one row
  int n_levels, n_channels;
  int64_t n_images;  ///< 1, or one for each image of places
  Filter filter;
  Boundary boundary;

  T3D_HOST_DEVICE bool is_cube() const { return boundary == Boundary::Cube; }
  /// Numbers for each place: of a texture coordinate, and of its derivatives.
  T3D_HOST_DEVICE int uv_size() const { return is_cube() ? 3 : 2; }
  T3D_HOST_DEVICE int da_size() const { return 2 * uv_size(); }
};

/// A place in the texture: s and t in [0,1] across it, or across the face of a cube.
template <class T>
struct Place {
  T s = 0, t = 0;
  int face = 0;
  T m = 0;  ///< of a cube: the length that the direction has along the face's axis
  bool is_valid = false;
};

template <class T>
T3D_HOST_DEVICE Place<T> place_of(const TextureView<T>& view, const T* uv) {
  Place<T> p;
  T sum = 0;
  for (int i = 0; i < view.uv_size(); ++i) sum += uv[i] - uv[i];  // 0 where all are finite
  if (!(sum == T(0))) return p;
  if (!view.is_cube()) {
    p.s = uv[0], p.t = uv[1], p.is_valid = true;
    return p;
  }
  p.face = cube_face_of(uv);
  const CubeFace f = cube_face(p.face);
  p.m = f.m_sign * uv[f.m_axis];
  if (!(p.m > 0)) return p;
  p.s = (f.s_sign * uv[f.s_axis] / p.m + 1) / 2;
  p.t = (f.t_sign * uv[f.t_axis] / p.m + 1) / 2;
  p.is_valid = true;
  return p;
}

/// The texels that a place is mixed of on one level, with their weights and what these change by with s and
/// t.
template <class T>
struct Taps {
  int n = 0;
  int64_t texel[4];
  T weight[4], by_s[4], by_t[4];

  T3D_HOST_DEVICE void add(int64_t at, T w, T ws, T wt) {
    texel[n] = at, weight[n] = w, by_s[n] = ws, by_t[n] = wt;
    ++n;
  }
};

/// A coordinate along one axis of `n` texels: between texels first and first + 1, `part` of the way.
template <class T>
struct Axis {
  int first = 0;
  T part = 0;
  T slope = 0;  ///< of the position in texels by the coordinate; 0 where it is clamped
  bool is_inside = true;
};

template <class T>
T3D_HOST_DEVICE Axis<T> axis_of(T coordinate, int n, Boundary boundary) {
  Axis<T> a;
  if (boundary == Boundary::Wrap) coordinate -= std::floor(coordinate);
  T x = coordinate * n - T(0.5);
  a.slope = static_cast<T>(n);
  if (boundary == Boundary::Clamp) {
    if (!(x > 0)) x = 0, a.slope = 0;
    if (x >= n - 1) x = static_cast<T>(n - 1), a.slope = 0;
  }
  a.is_inside = x > -1 && x < n;
  if (!a.is_inside) return a;
  const T below = std::floor(x);
  a.first = static_cast<int>(below);
  a.part = x - below;
  return a;
}

/// Index of a texel within its image; -1 where there is none.
T3D_HOST_DEVICE inline int64_t texel_of(Boundary boundary, int face, int row, int column, int height,
                                        int width) {
  if (boundary == Boundary::Cube) return cube_texel(face, row, column, width);
  if (boundary == Boundary::Wrap) {
    row = row < 0 ? row + height : (row >= height ? row - height : row);
    column = column < 0 ? column + width : (column >= width ? column - width : column);
  } else if (boundary == Boundary::Clamp) {
    row = row >= height ? height - 1 : row;
    column = column >= width ? width - 1 : column;
  } else if (row < 0 || row >= height || column < 0 || column >= width) {
    return -1;
  }
  return int64_t{row} * width + column;
}

template <class T>
T3D_HOST_DEVICE int nearest_texel(T coordinate, int n, Boundary boundary) {
  if (boundary == Boundary::Wrap) coordinate -= std::floor(coordinate);
  const T x = std::floor(coordinate * n);
  if (boundary == Boundary::Zero && !(x >= 0 && x < n)) return -1;
  return x < 0 ? 0 : (x < n ? static_cast<int>(x) : n - 1);
}

template <class T>
T3D_HOST_DEVICE Taps<T> taps_of(const TextureView<T>& view, int level, int64_t image, const Place<T>& p) {
  Taps<T> taps;
  const int height = view.height[level], width = view.width[level];
  const int64_t first = image * height * width * (view.is_cube() ? 6 : 1);
  if (view.filter == Filter::Nearest) {
    const int row = nearest_texel(p.t, height, view.boundary),
              column = nearest_texel(p.s, width, view.boundary);
    if (row >= 0 && column >= 0)
      taps.add(first + (int64_t{p.face} * height + row) * width + column, T(1), T(0), T(0));
    return taps;
  }
  const Axis<T> a = axis_of(p.s, width, view.boundary), b = axis_of(p.t, height, view.boundary);
  if (!a.is_inside || !b.is_inside) return taps;
  T lost = 0, lost_by_s = 0, lost_by_t = 0;
  for (int i = 0; i < 4; ++i) {
    const int right = i & 1, below = i >> 1;
    const T x = right ? a.part : 1 - a.part, y = below ? b.part : 1 - b.part;
    const T w = x * y, ws = (right ? a.slope : -a.slope) * y, wt = (below ? b.slope : -b.slope) * x;
    const int64_t at = texel_of(view.boundary, p.face, b.first + below, a.first + right, height, width);
    if (at >= 0)
      taps.add(first + at, w, ws, wt);
    else
      lost += w, lost_by_s += ws, lost_by_t += wt;
  }
  if (view.is_cube() && taps.n == 3)  // a corner: the mean of the three stands for the missing texel
    for (int i = 0; i < 3; ++i)
      taps.weight[i] += lost / 3, taps.by_s[i] += lost_by_s / 3, taps.by_t[i] += lost_by_t / 3;
  return taps;
}

/// ds/dX, ds/dY, dt/dX, dt/dY of a place, X and Y in pixels.
template <class T>
struct Slopes {
  T d[4];
};

template <class T>
T3D_HOST_DEVICE Slopes<T> slopes_of(const TextureView<T>& view, const Place<T>& p, const T* da) {
  if (!view.is_cube()) return {{da[0], da[1], da[2], da[3]}};
  const CubeFace f = cube_face(p.face);
  Slopes<T> out;
  for (int i = 0; i < 2; ++i) {
    const T dm = f.m_sign * da[2 * f.m_axis + i];
    out.d[i] = (f.s_sign * da[2 * f.s_axis + i] - (2 * p.s - 1) * dm) / (2 * p.m);
    out.d[2 + i] = (f.t_sign * da[2 * f.t_axis + i] - (2 * p.t - 1) * dm) / (2 * p.m);
  }
  return out;
}

/// Which levels are mixed: (1 - part) of `level`, `part` of the next.
template <class T>
struct LevelChoice {
  int level = 0;
  T part = 0;
  bool has_slope = false;  ///< the level of detail changes the mixture
  T by_slopes[4] = {};     ///< derivative of the level of detail by Slopes
};

template <class T>
T3D_HOST_DEVICE LevelChoice<T> level_of(const TextureView<T>& view, const Place<T>& p, const T* da,
                                        const T* bias) {
  LevelChoice<T> out;
  if (view.n_levels < 2 || view.filter == Filter::Nearest || view.filter == Filter::Linear) return out;
  T lod = bias != nullptr ? *bias : T(0);
  if (da != nullptr) {
    const T w = static_cast<T>(view.width[0]), h = static_cast<T>(view.height[0]);
    const Slopes<T> slopes = slopes_of(view, p, da);
    const T sx = slopes.d[0] * w, sy = slopes.d[1] * w, tx = slopes.d[2] * h, ty = slopes.d[3] * h;
    const T A = sx * sx + tx * tx, B = sy * sy + ty * ty, C = sx * sy + tx * ty;  // J^T J
    const T root = std::sqrt((A - B) * (A - B) / 4 + C * C);
    const T largest = (A + B) / 2 + root;  // eigenvalue
    lod += std::log2(largest) / 2;
    // On a circle both directions are as long: the mean of the two slopes.
    const T by_a = T(0.5) + (root > 0 ? (A - B) / (4 * root) : T(0)), by_c = root > 0 ? C / root : T(0);
    const T scale = T(0.72134752044448170368) / largest;  // 1 / (2 ln 2)
    out.by_slopes[0] = scale * w * (2 * by_a * sx + by_c * sy);
    out.by_slopes[1] = scale * w * (2 * (1 - by_a) * sy + by_c * sx);
    out.by_slopes[2] = scale * h * (2 * by_a * tx + by_c * ty);
    out.by_slopes[3] = scale * h * (2 * (1 - by_a) * ty + by_c * tx);
  }
  const int last = view.n_levels - 1;
  if (!(lod > 0)) return out;
  if (lod >= last) {
    out.level = last;
  } else if (view.filter == Filter::MipmapNearest) {
    out.level = static_cast<int>(lod + T(0.5));
  } else {
    out.level = static_cast<int>(lod);
    out.part = lod - out.level;
    out.has_slope = true;
  }
  return out;
}

/// out [C] of the place `uv`; da and bias may be null.
template <class T>
T3D_HOST_DEVICE void sample(const TextureView<T>& view, int64_t image, const T* uv, const T* da,
                            const T* bias, T* out) {
  for (int c = 0; c < view.n_channels; ++c) out[c] = 0;
  const Place<T> p = place_of(view, uv);
  if (!p.is_valid) return;
  const LevelChoice<T> choice = level_of(view, p, da, bias);
  for (int k = 0; k < (choice.has_slope ? 2 : 1); ++k) {
    const T share = k == 0 ? 1 - choice.part : choice.part;
    const Taps<T> taps = taps_of(view, choice.level + k, image, p);
    for (int i = 0; i < taps.n; ++i) {
      const T* texel = view.levels[choice.level + k] + taps.texel[i] * view.n_channels;
      const T w = share * taps.weight[i];
      for (int c = 0; c < view.n_channels; ++c) out[c] += w * texel[c];
    }
  }
}

/// Derivatives of L by the place, given those by s and t and by the slopes.
template <class T>
T3D_HOST_DEVICE void place_adjoint(const TextureView<T>& view, const Place<T>& p, const T* da, T by_s, T by_t,
                                   const T* by_slopes, T* d_uv, T* d_da) {
  if (!view.is_cube()) {
    d_uv[0] = by_s, d_uv[1] = by_t;
    if (d_da != nullptr)
      for (int i = 0; i < 4; ++i) d_da[i] = by_slopes[i];
    return;
  }
  const CubeFace f = cube_face(p.face);
  const T x = 2 * p.s - 1, y = 2 * p.t - 1;
  T by_x = by_s / 2, by_y = by_t / 2, by_m = 0;
  for (int i = 0; d_da != nullptr && i < 2; ++i) {
    const T dm = f.m_sign * da[2 * f.m_axis + i];
    const T ds = f.s_sign * da[2 * f.s_axis + i] - x * dm, dt = f.t_sign * da[2 * f.t_axis + i] - y * dm;
    const T gs = by_slopes[i] / (2 * p.m), gt = by_slopes[2 + i] / (2 * p.m);
    d_da[2 * f.s_axis + i] = f.s_sign * gs;
    d_da[2 * f.t_axis + i] = f.t_sign * gt;
    d_da[2 * f.m_axis + i] = -f.m_sign * (x * gs + y * gt);
    by_x -= dm * gs, by_y -= dm * gt;
    by_m -= (ds * gs + dt * gt) / p.m;
  }
  by_m -= (by_x * x + by_y * y) / p.m;
  d_uv[f.s_axis] = f.s_sign * by_x / p.m;
  d_uv[f.t_axis] = f.t_sign * by_y / p.m;
  d_uv[f.m_axis] = f.m_sign * by_m;
}

/// The adjoint of sample(): from dL/dout [C] the derivatives by uv, da (null where da is) and bias (null
/// where bias is); emit(texel, weight) for every texel, counted through all levels, that takes weight *
/// dL/dout.
template <class T, class Emit>
T3D_HOST_DEVICE void sample_adjoint(const TextureView<T>& view, int64_t image, const T* uv, const T* da,
                                    const T* bias, const T* d_out, T* d_uv, T* d_da, T* d_bias,
                                    const Emit& emit) {
  for (int i = 0; i < view.uv_size(); ++i) d_uv[i] = 0;
  if (d_da != nullptr)
    for (int i = 0; i < view.da_size(); ++i) d_da[i] = 0;
  if (d_bias != nullptr) *d_bias = 0;
  const Place<T> p = place_of(view, uv);
  if (!p.is_valid) return;
  const LevelChoice<T> choice = level_of(view, p, da, bias);
  T by_s = 0, by_t = 0, by_level = 0;
  for (int k = 0; k < (choice.has_slope ? 2 : 1); ++k) {
    const int level = choice.level + k;
    const T share = k == 0 ? 1 - choice.part : choice.part;
    const Taps<T> taps = taps_of(view, level, image, p);
    for (int i = 0; i < taps.n; ++i) {
      const T* texel = view.levels[level] + taps.texel[i] * view.n_channels;
      T product = 0;
      for (int c = 0; c < view.n_channels; ++c) product += d_out[c] * texel[c];
      by_s += share * taps.by_s[i] * product;
      by_t += share * taps.by_t[i] * product;
      by_level += (k == 0 ? -taps.weight[i] : taps.weight[i]) * product;
      emit(view.first_texel[level] + taps.texel[i], share * taps.weight[i]);
    }
  }
  T by_slopes[4] = {};
  if (choice.has_slope) {
    if (d_bias != nullptr) *d_bias = by_level;
    if (da != nullptr)
      for (int i = 0; i < 4; ++i) by_slopes[i] = by_level * choice.by_slopes[i];
  }
  place_adjoint(view, p, da, by_s, by_t, by_slopes, d_uv, d_da);
}

}  // namespace t3d::raster::lookup
