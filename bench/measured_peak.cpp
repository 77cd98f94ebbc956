#include "bench/measured_peak.h"

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <vector>

#include "t3d/ops/simd.h"

namespace t3d::bench {
namespace {

typedef float Vec4 __attribute__((vector_size(16)));
typedef float Vec8 __attribute__((vector_size(32)));
typedef float Vec16 __attribute__((vector_size(64)));

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// kChains independent multiply-adds after another; enough of them to hide the latency.
template <class V, int kChains>
T3D_INLINE float multiply_add(int64_t n_rounds, float factor) {
  V chain[kChains], a = V{} + factor, b = V{} + 1e-3f;
#pragma GCC unroll 32
  for (int i = 0; i < kChains; ++i) chain[i] = V{} + static_cast<float>(i);
  for (int64_t round = 0; round < n_rounds; ++round) {
#pragma GCC unroll 32
    for (int i = 0; i < kChains; ++i) chain[i] = chain[i] * a + b;
  }
  float sum = 0;
#pragma GCC unroll 32
  for (int i = 0; i < kChains; ++i) sum += chain[i][0];
  return sum;
}

constexpr int64_t kRounds = 2000000;
volatile float sink;

int64_t burn_portable() {
  sink = multiply_add<Vec4, 10>(kRounds, 0.999f);
  return kRounds * 10 * 4 * 2;
}
T3D_TARGET_AVX2 int64_t burn_avx2() {
  sink = multiply_add<Vec8, 10>(kRounds, 0.999f);
  return kRounds * 10 * 8 * 2;
}
T3D_TARGET_AVX512 int64_t burn_avx512() {
  sink = multiply_add<Vec16, 24>(kRounds, 0.999f);
  return kRounds * 24 * 16 * 2;
}

}  // namespace

double fma_gflops() {
  const auto burn = ops::simd() == ops::Simd::Avx512 ? burn_avx512
                    : ops::simd() == ops::Simd::Avx2 ? burn_avx2
                                                     : burn_portable;
  double best = 0;
  for (int attempt = 0; attempt < 8; ++attempt) {
    int64_t flops = 0;
    const double start = seconds();
#pragma omp parallel reduction(+ : flops)
    flops += burn();
    best = std::max(best, static_cast<double>(flops) / (seconds() - start) / 1e9);
  }
  return best;
}

double random_reads_m(long table_bytes) {
  const int64_t n_entries = table_bytes / 8, n_reads = 1 << 20;
  std::vector<double> table(n_entries, 1.0);
  std::vector<uint32_t> index(n_reads);
  uint32_t state = 1;
  for (uint32_t& i : index) {
    state = state * 1664525u + 1013904223u;
    i = static_cast<uint32_t>((uint64_t{state} * static_cast<uint64_t>(n_entries)) >> 32);
  }
  double best = 0;
  for (int attempt = 0; attempt < 8; ++attempt) {
    double total = 0;
    const double start = seconds();
#pragma omp parallel reduction(+ : total)
    {
      double sums[4] = {};
      for (int64_t i = 0; i + 68 <= n_reads; i += 4) {
        for (int k = 0; k < 4; ++k) {
          __builtin_prefetch(&table[index[i + 64 + k]]);
          sums[k] += table[index[i + k]];
        }
      }
      total += sums[0] + sums[1] + sums[2] + sums[3];
    }
    sink = static_cast<float>(total);
    best = std::max(best, static_cast<double>(n_reads) * omp_get_max_threads() / (seconds() - start) / 1e6);
  }
  return best;
}

}  // namespace t3d::bench
