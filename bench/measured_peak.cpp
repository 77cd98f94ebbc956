#include "bench/measured_peak.h"

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "t3d/core/clock.h"
#include "t3d/ops/matrix_block.h"
#include "t3d/ops/simd.h"

namespace t3d::bench {
namespace {

typedef float Vec4 __attribute__((vector_size(16)));
typedef float Vec8 __attribute__((vector_size(32)));
typedef float Vec16 __attribute__((vector_size(64)));

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

constexpr int64_t kRounds = 200000;  // short, to fit between the turns of other programs
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

#ifdef T3D_HAS_MATRIX_BLOCK
T3D_TARGET_BF16 int64_t burn_amx() {
  using namespace ops::cpu;
  alignas(64) static const Bf16 numbers[kTileSize] = {};
  constexpr int64_t kBytes = 64;
  AmxTiles::begin();
  T3D_TILE_LOAD(4, numbers, kBytes);
  T3D_TILE_LOAD(5, numbers, kBytes);
  T3D_TILE_LOAD(6, numbers, kBytes);
  T3D_TILE_LOAD(7, numbers, kBytes);
  T3D_TILE_ZERO(0);
  T3D_TILE_ZERO(1);
  T3D_TILE_ZERO(2);
  T3D_TILE_ZERO(3);
  for (int64_t round = 0; round < kRounds; ++round) {
    T3D_TILE_MULTIPLY(0, 4, 6);
    T3D_TILE_MULTIPLY(1, 4, 7);
    T3D_TILE_MULTIPLY(2, 5, 6);
    T3D_TILE_MULTIPLY(3, 5, 7);
  }
  AmxTiles::end();
  return kRounds * 4 * 16 * 16 * 32 * 2;
}
T3D_TARGET_BF16 int64_t burn_avx512bf16() {
  constexpr int kChains = 24;
  __m512 chain[kChains];
  __m512i a = _mm512_set1_epi32(0x3f003f00), b = _mm512_set1_epi32(0x3c003c00);
#pragma GCC unroll 32
  for (int i = 0; i < kChains; ++i) chain[i] = _mm512_set1_ps(static_cast<float>(i));
  for (int64_t round = 0; round < kRounds; ++round) {
    asm volatile("" : "+v"(a), "+v"(b));
#pragma GCC unroll 32
    for (auto& c : chain) c = _mm512_dpbf16_ps(c, (__m512bh)a, (__m512bh)b);
  }
  __m512 sum = chain[0];
  for (const auto& c : chain) sum = _mm512_add_ps(sum, c);
  sink = _mm512_cvtss_f32(sum);
  return kRounds * kChains * 32 * 2;
}
#endif

/// All threads together, the best of several tries.
double rate(int64_t (*burn)()) {
  double best = 0;
  for (int attempt = 0; attempt < 60; ++attempt) {
    int64_t flops = 0;
    const double start = now_s();
#pragma omp parallel reduction(+ : flops)
    flops += burn();
    best = std::max(best, static_cast<double>(flops) / (now_s() - start) / 1e9);
  }
  return best;
}

}  // namespace

double fma_gflops() {
  return rate(ops::simd() >= ops::Simd::Avx512 ? burn_avx512
              : ops::simd() == ops::Simd::Avx2 ? burn_avx2
                                               : burn_portable);
}

double bfloat16_gflops() {
#ifdef T3D_HAS_MATRIX_BLOCK
  if (ops::matrix_unit() == ops::MatrixUnit::Amx) return rate(burn_amx);
  if (ops::matrix_unit() == ops::MatrixUnit::Avx512) return rate(burn_avx512bf16);
#endif
  return 0;
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
    const double start = now_s();
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
    best = std::max(best, static_cast<double>(n_reads) * omp_get_max_threads() / (now_s() - start) / 1e6);
  }
  return best;
}

}  // namespace t3d::bench
