#include <algorithm>
#include <array>

#include "t3d/ops/simd.h"
#include "t3d/ops/spherical_harmonics.h"
#include "t3d/ops/spherical_harmonics_recurrence.h"

namespace t3d::ops::cpu {
namespace {

constexpr int kLanes = 8;
typedef float Vec __attribute__((vector_size(4 * kLanes)));

struct FactorTable {
  std::array<std::array<float, kMaxShDegree>, kMaxShDegree> value{};
  FactorTable() {
    for (int l = 0; l < kMaxShDegree; ++l)
      for (int m = 0; m <= l; ++m) value[l][m] = static_cast<float>(sh_factor(l, m));
  }
  T3D_INLINE float operator()(int l, int m) const { return value[l][m]; }
};

struct Task {
  const float* directions;
  int64_t stride, n;
  Rows<float> out;
  Rows<const float> dy;
  float* ddirections;
  int64_t dstride;
};

struct PutValues {
  Vec* values;
  T3D_INLINE void operator()(int i, const Vec& value, const Vec&, const Vec&, const Vec&) const {
    values[i] = value;
  }
};

struct AddGradient {
  const Vec* dy;
  Vec* sum;
  T3D_INLINE void operator()(int i, const Vec&, const Vec& by_x, const Vec& by_y, const Vec& by_z) const {
    sum[0] += dy[i] * by_x;
    sum[1] += dy[i] * by_y;
    sum[2] += dy[i] * by_z;
  }
};

/// Eight directions from `first` on; those beyond the end repeat the last.
template <int kDegree, bool kBackward>
T3D_INLINE void eight(const Task& t, const FactorTable& factors, int64_t first) {
  constexpr int kValues = kDegree * kDegree;
  const int n = static_cast<int>(std::min<int64_t>(kLanes, t.n - first));
  Vec d[3], values[kValues];
  for (int i = 0; i < kLanes; ++i)
    for (int c = 0; c < 3; ++c) d[c][i] = t.directions[(first + std::min(i, n - 1)) * t.stride + c];
  const Vec zero = {}, one = zero + 1.f;
  if (kBackward) {
    for (int k = 0; k < kValues; ++k)
      for (int i = 0; i < kLanes; ++i) values[k][i] = t.dy.at(first + std::min(i, n - 1), k);
    Vec sum[3] = {};
    sh_recurrence<float>(kDegree, d[0], d[1], d[2], one, zero, factors, AddGradient{values, sum});
    for (int i = 0; i < n; ++i)
      for (int c = 0; c < 3; ++c) t.ddirections[(first + i) * t.dstride + c] = sum[c][i];
  } else {
    sh_recurrence<float>(kDegree, d[0], d[1], d[2], one, zero, factors, PutValues{values});
    for (int i = 0; i < n; ++i)
      for (int k = 0; k < kValues; ++k) t.out.at(first + i, k) = values[k][i];
  }
}

template <bool kBackward>
T3D_INLINE void range(int degree, const Task& t, const FactorTable& f, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i += kLanes) switch (degree) {
      case 1:
        eight<1, kBackward>(t, f, i);
        break;
      case 2:
        eight<2, kBackward>(t, f, i);
        break;
      case 3:
        eight<3, kBackward>(t, f, i);
        break;
      case 4:
        eight<4, kBackward>(t, f, i);
        break;
      case 5:
        eight<5, kBackward>(t, f, i);
        break;
      case 6:
        eight<6, kBackward>(t, f, i);
        break;
      case 7:
        eight<7, kBackward>(t, f, i);
        break;
      default:
        eight<8, kBackward>(t, f, i);
        break;
    }
}

using Range = void (*)(int, const Task&, const FactorTable&, int64_t, int64_t);
void forward_portable(int degree, const Task& t, const FactorTable& f, int64_t b, int64_t e) {
  range<false>(degree, t, f, b, e);
}
void backward_portable(int degree, const Task& t, const FactorTable& f, int64_t b, int64_t e) {
  range<true>(degree, t, f, b, e);
}
T3D_TARGET_AVX2 void forward_avx2(int degree, const Task& t, const FactorTable& f, int64_t b, int64_t e) {
  range<false>(degree, t, f, b, e);
}
T3D_TARGET_AVX2 void backward_avx2(int degree, const Task& t, const FactorTable& f, int64_t b, int64_t e) {
  range<true>(degree, t, f, b, e);
}

void all(Range kernel, int degree, const Task& t) {
  static const FactorTable factors;
  constexpr int64_t kChunk = 1024;
#pragma omp parallel for schedule(static) if (t.n > 4 * kChunk)
  for (int64_t begin = 0; begin < t.n; begin += kChunk)
    kernel(degree, t, factors, begin, std::min(t.n, begin + kChunk));
}

}  // namespace

void sh_forward(int degree, const float* directions, int64_t stride, int64_t n, Rows<float> out) {
  all(simd() == Simd::Portable ? forward_portable : forward_avx2, degree,
      {directions, stride, n, out, {}, nullptr, 0});
}

void sh_backward(int degree, const float* directions, int64_t stride, int64_t n, Rows<const float> dy,
                 float* ddirections, int64_t dstride) {
  all(simd() == Simd::Portable ? backward_portable : backward_avx2, degree,
      {directions, stride, n, {}, dy, ddirections, dstride});
}

}  // namespace t3d::ops::cpu
