#pragma once

#include <cstdint>
#include <cstring>

#include "t3d/ops/simd.h"

// Everything here is inlined: no vector is ever passed by a calling convention.
#pragma GCC diagnostic ignored "-Wpsabi"

/// Vectors of floats of the compiler's own, and functions of them, for kernels in single precision. For
/// kernel files only.
namespace t3d::ops::cpu {

typedef float Float4 __attribute__((vector_size(16)));
typedef float Float8 __attribute__((vector_size(32)));
typedef float Float16 __attribute__((vector_size(64)));
typedef int32_t Int4 __attribute__((vector_size(16)));
typedef int32_t Int8 __attribute__((vector_size(32)));
typedef int32_t Int16 __attribute__((vector_size(64)));

/// What a kernel is instantiated with. kTile: rows of a product's tile that fit in the registers.
struct PortableLanes {
  using V = Float4;
  using I = Int4;
  static constexpr int kTile = 4;
};
struct Avx2Lanes {
  using V = Float8;
  using I = Int8;
  static constexpr int kTile = 4;
};
struct Avx512Lanes {
  using V = Float16;
  using I = Int16;
  static constexpr int kTile = 8;
};
template <class Lanes>
constexpr int kLanes = sizeof(typename Lanes::V) / sizeof(float);

template <class V>
T3D_INLINE V load_lanes(const float* from) {
  V v;
  std::memcpy(&v, from, sizeof(V));
  return v;
}
/// The first n, zeros behind them.
template <class V>
T3D_INLINE V load_lanes(const float* from, int64_t n) {
  constexpr int64_t kWidth = sizeof(V) / sizeof(float);
  if (n >= kWidth) return load_lanes<V>(from);
  alignas(64) float all[kWidth] = {};
  for (int64_t i = 0; i < n; ++i) all[i] = from[i];
  return load_lanes<V>(all);
}
template <class V>
T3D_INLINE void store_lanes(float* to, const V& v) {
  std::memcpy(to, &v, sizeof(V));
}
template <class V>
T3D_INLINE void store_lanes(float* to, const V& v, int64_t n) {
  constexpr int64_t kWidth = sizeof(V) / sizeof(float);
  if (n >= kWidth) return store_lanes(to, v);
  alignas(64) float all[kWidth];
  store_lanes(all, v);
  for (int64_t i = 0; i < n; ++i) to[i] = all[i];
}

/// total[r][v] += the product over n of R rows of a left factor with NV vectors of columns of a right one, whose
/// rows are right_stride apart.
template <class V, int R, int NV>
T3D_INLINE void multiply_block(V (&total)[R][NV], const float* left, int64_t row_stride, int64_t depth_stride,
                               int64_t n, const float* right, int64_t right_stride) {
  constexpr int64_t kWidth = sizeof(V) / sizeof(float);
  const float* from[R];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) from[r] = left + r * row_stride;
#pragma GCC unroll 2
  for (int64_t k = 0; k < n; ++k, right += right_stride) {
    V column[NV];
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) column[v] = load_lanes<V>(right + v * kWidth);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const V one = V{} + from[r][k * depth_stride];
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) total[r][v] += one * column[v];
    }
  }
}

/// 2^x for x <= 0, to 1e-7 (1 + |x|) of its value; 0 below -126. Through its values at the Chebyshev points.
template <class Lanes>
T3D_INLINE typename Lanes::V exp2_of_negative_lanes(const typename Lanes::V& x) {
  using V = typename Lanes::V;
  using I = typename Lanes::I;
  const V least = V{} - 126.f;
  const V seen = x < least ? least : x;
  const I whole = __builtin_convertvector(seen - 0.5f, I);  // rounds towards zero, so to the nearest of x
  const V rest = seen - __builtin_convertvector(whole, V);
  V y = V{} + 1.54614447e-4f;
  y = y * rest + 1.34004282e-3f;
  y = y * rest + 9.61805668e-3f;
  y = y * rest + 5.55032723e-2f;
  y = y * rest + 2.40226509e-1f;
  y = y * rest + 6.93147207e-1f;
  y = y * rest + 1.f;
  const I bits = (whole + 127) << 23;
  V power;
  std::memcpy(&power, &bits, sizeof(V));
  return x < least ? V{} : V(y * power);
}

/// 1 / (1 + exp(-z)) and what it lacks to 1, from exp(-|z|), which never overflows.
template <class Lanes>
T3D_INLINE typename Lanes::V sigmoid_lanes(const typename Lanes::V& z, typename Lanes::V* lack) {
  using V = typename Lanes::V;
  const V e = exp2_of_negative_lanes<Lanes>(V((z < 0.f ? z : -z) * 1.44269504f));
  const V large = 1.f / (e + 1.f), small = large * e;
  *lack = z < 0.f ? large : small;
  return z < 0.f ? small : large;
}

}  // namespace t3d::ops::cpu
