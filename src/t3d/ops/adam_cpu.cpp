#include <algorithm>
#include <cmath>
#include <cstring>

#include "t3d/ops/adam.h"
#include "t3d/ops/simd.h"

namespace t3d::ops::cpu {
namespace {

constexpr int64_t kRun = 16;  // floats handled together; runs without a gradient are skipped whole

T3D_INLINE void step_run(float* p, float* g, float* m, float* v, int64_t n, const AdamFactors& k) {
  for (int64_t i = 0; i < n; ++i) {
    const bool leave = k.skip_zero_gradients && g[i] == 0.f;
    const float gradient = g[i] * k.gradient_scale + k.l2 * p[i];
    const float m1 = k.beta1 * m[i] + k.one_minus_beta1 * gradient;
    const float v1 = k.beta2 * v[i] + k.one_minus_beta2 * gradient * gradient;
    const float p1 = p[i] * k.keep - k.step_size * m1 / (std::sqrt(v1 * k.v_correction) + k.eps);
    m[i] = leave ? m[i] : m1;
    v[i] = leave ? v[i] : v1;
    p[i] = leave ? p[i] : p1;
  }
}

T3D_INLINE bool all_zero(const float* g) {
  float sum = 0;
  for (int64_t i = 0; i < kRun; ++i) sum += std::fabs(g[i]);
  return sum == 0.f;
}

T3D_INLINE void step_all(float* p, float* g, float* m, float* v, int64_t n, const AdamFactors& k,
                         bool clear) {
  int64_t i = 0;
  for (; i + kRun <= n; i += kRun) {
    if (k.skip_zero_gradients && all_zero(g + i)) continue;
    step_run(p + i, g + i, m + i, v + i, kRun, k);
    if (clear) std::memset(g + i, 0, kRun * sizeof(float));
  }
  step_run(p + i, g + i, m + i, v + i, n - i, k);
  if (clear) std::memset(g + i, 0, (n - i) * sizeof(float));
}

void step_portable(float* p, float* g, float* m, float* v, int64_t n, const AdamFactors& k, bool clear) {
  step_all(p, g, m, v, n, k, clear);
}
T3D_TARGET_AVX2 void step_avx2(float* p, float* g, float* m, float* v, int64_t n, const AdamFactors& k,
                               bool clear) {
  step_all(p, g, m, v, n, k, clear);
}

}  // namespace

void adam_step(float* params, float* gradients, float* m, float* v, int64_t n, const AdamFactors& factors,
               bool clear_gradients) {
  const auto kernel = simd() == Simd::Portable ? step_portable : step_avx2;  // memory is the limit
  constexpr int64_t kChunk = 1 << 14;
#pragma omp parallel for schedule(static) if (n > 4 * kChunk)
  for (int64_t begin = 0; begin < n; begin += kChunk)
    kernel(params + begin, gradients + begin, m + begin, v + begin, std::min(kChunk, n - begin), factors,
           clear_gradients);
}

}  // namespace t3d::ops::cpu
