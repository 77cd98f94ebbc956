#pragma once

#include <cstdint>

#include "t3d/ops/matrix_unit.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define T3D_HAS_MATRIX_BLOCK 1
#include <immintrin.h>

// GCC 12's own headers leave the unused lanes of masked operations uninitialised on purpose, and it warns.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

/// Products of blocks of 32 x 32 in bfloat16 with sums in single precision: what the bfloat16 kernels of this
/// module are made of. For kernel files only.
///
/// The right factor comes packed. One step covers 32 rows of it and 32 columns, as two tiles of 16 columns,
/// each with the two numbers that one instruction multiplies side by side:
///
///   packed[step][half][pair][column][2] = right[32 step + 2 pair + (0,1)][16 half + column]
namespace t3d::ops::cpu {

using Bf16 = uint16_t;  // the upper half of a float

constexpr int64_t kBlock = 32;          // rows, columns and depth of a block
constexpr int64_t kStepSize = 32 * 32;  // numbers of one packed step
constexpr int64_t kTileSize = kStepSize / 2;
constexpr int64_t kLine = 32;  // numbers of a cache line

#define T3D_TARGET_BF16 \
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma,bmi,bmi2")))
#define T3D_BF16_INLINE inline __attribute__((always_inline)) T3D_TARGET_BF16

/// 32 rows of the left factor: two runs of 16, each from `first` or `second` on, `stride` numbers apart.
struct LeftRows {
  const Bf16 *first, *second;
  int64_t stride;
};

/// What to fetch into the second cache while a block is multiplied: some lines for each step, a packed step
/// apart.
struct Ahead {
  const Bf16* at = nullptr;
  int64_t n_lines = 0;

  T3D_BF16_INLINE void fetch(int64_t step) const {
    for (int64_t i = 0; i < n_lines; ++i)
      _mm_prefetch(reinterpret_cast<const char*>(at + step * kStepSize + i * kLine), _MM_HINT_T1);
  }
};

struct AmxTiles {
  /// Each thread that multiplies: before and after.
  static T3D_BF16_INLINE void begin() {
    struct alignas(64) {
      uint8_t palette = 1, start_row = 0, reserved[14] = {};
      uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    } config;
    asm volatile("ldtilecfg %0" ::"m"(config) : "memory");
  }
  static T3D_BF16_INLINE void end() { asm volatile("tilerelease" ::: "memory"); }

#define T3D_TILE_LOAD(TILE, FROM, BYTES) \
  asm volatile("tileloadd (%0,%1,1), %%tmm" #TILE ::"r"(FROM), "r"(BYTES) : "memory")
#define T3D_TILE_STORE(TILE, TO, BYTES) \
  asm volatile("tilestored %%tmm" #TILE ", (%0,%1,1)" ::"r"(TO), "r"(BYTES) : "memory")
#define T3D_TILE_MULTIPLY(TO, LEFT, RIGHT) \
  asm volatile("tdpbf16ps %%tmm" #RIGHT ", %%tmm" #LEFT ", %%tmm" #TO ::)
#define T3D_TILE_ZERO(TILE) asm volatile("tilezero %%tmm" #TILE ::)

  /// sum[32][32], rows `stride` floats apart, = (or += where `add`) the product over n_steps of 32.
  static T3D_BF16_INLINE void multiply(const LeftRows& left, const Bf16* packed, int64_t n_steps, float* sum,
                                       int64_t stride, bool add, const Ahead& ahead = {}) {
    float* const below = sum + 16 * stride;
    const int64_t bytes = stride * 4, left_bytes = left.stride * 2;
    if (add) {
      T3D_TILE_LOAD(0, sum, bytes);
      T3D_TILE_LOAD(1, sum + 16, bytes);
      T3D_TILE_LOAD(2, below, bytes);
      T3D_TILE_LOAD(3, below + 16, bytes);
    } else {
      T3D_TILE_ZERO(0);
      T3D_TILE_ZERO(1);
      T3D_TILE_ZERO(2);
      T3D_TILE_ZERO(3);
    }
    for (int64_t s = 0; s < n_steps; ++s, packed += kStepSize) {
      T3D_TILE_LOAD(6, packed, int64_t{64});
      T3D_TILE_LOAD(4, left.first + 32 * s, left_bytes);
      ahead.fetch(s);
      T3D_TILE_MULTIPLY(0, 4, 6);
      T3D_TILE_LOAD(7, packed + kTileSize, int64_t{64});
      T3D_TILE_MULTIPLY(1, 4, 7);
      T3D_TILE_LOAD(5, left.second + 32 * s, left_bytes);
      T3D_TILE_MULTIPLY(2, 5, 6);
      T3D_TILE_MULTIPLY(3, 5, 7);
    }
    T3D_TILE_STORE(0, sum, bytes);
    T3D_TILE_STORE(1, sum + 16, bytes);
    T3D_TILE_STORE(2, below, bytes);
    T3D_TILE_STORE(3, below + 16, bytes);
  }
};

struct Avx512Bf16 {
  static T3D_BF16_INLINE void begin() {}
  static T3D_BF16_INLINE void end() {}

  /// As above, eight rows at a time in registers.
  static T3D_BF16_INLINE void multiply(const LeftRows& left, const Bf16* packed, int64_t n_steps, float* sum,
                                       int64_t stride, bool add, const Ahead& ahead = {}) {
    for (int64_t row = 0; row < kBlock; row += 8, sum += 8 * stride) {
      const Bf16* from = row < 16 ? left.first + row * left.stride : left.second + (row - 16) * left.stride;
      __m512 total[8][2];
#pragma GCC unroll 8
      for (int r = 0; r < 8; ++r) {
        total[r][0] = add ? _mm512_loadu_ps(sum + r * stride) : _mm512_setzero_ps();
        total[r][1] = add ? _mm512_loadu_ps(sum + r * stride + 16) : _mm512_setzero_ps();
      }
      for (int64_t s = 0; s < n_steps; ++s) {
        if (row == 0) ahead.fetch(s);
        const Bf16* right = packed + s * kStepSize;
        for (int64_t pair = 0; pair < 16; ++pair, right += 32) {
          const __m512bh right_0 = (__m512bh)_mm512_loadu_si512(right);
          const __m512bh right_1 = (__m512bh)_mm512_loadu_si512(right + kTileSize);
#pragma GCC unroll 8
          for (int r = 0; r < 8; ++r) {
            const auto both = (__m512bh)_mm512_set1_epi32(
                *reinterpret_cast<const int32_t*>(from + r * left.stride + 32 * s + 2 * pair));
            total[r][0] = _mm512_dpbf16_ps(total[r][0], both, right_0);
            total[r][1] = _mm512_dpbf16_ps(total[r][1], both, right_1);
          }
        }
      }
#pragma GCC unroll 8
      for (int r = 0; r < 8; ++r) {
        _mm512_storeu_ps(sum + r * stride, total[r][0]);
        _mm512_storeu_ps(sum + r * stride + 16, total[r][1]);
      }
    }
  }
};

/// Sixteen numbers.
T3D_BF16_INLINE __m512 load_bf16(const Bf16* from) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(
      _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))), 16));
}
T3D_BF16_INLINE void store_bf16(Bf16* to, __m512 x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), (__m256i)_mm512_cvtneps_pbh(x));
}
/// The first n of sixteen, and those of a mask.
T3D_BF16_INLINE __mmask16 first_of_16(int64_t n) {
  return n <= 0 ? 0 : n >= 16 ? 0xffff : static_cast<__mmask16>((1u << n) - 1);
}
T3D_BF16_INLINE __m512 load_bf16(const Bf16* from, __mmask16 mask) {
  return _mm512_castsi512_ps(
      _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, from)), 16));
}
T3D_BF16_INLINE void store_bf16(Bf16* to, __m512 x, __mmask16 mask) {
  _mm256_mask_storeu_epi16(to, mask, (__m256i)_mm512_cvtneps_pbh(x));
}

/// The same for numbers in single precision, so that a kernel can be written once for both.
T3D_BF16_INLINE __m512 load_16(const Bf16* from) {
  return load_bf16(from);
}
T3D_BF16_INLINE __m512 load_16(const Bf16* from, __mmask16 mask) {
  return load_bf16(from, mask);
}
T3D_BF16_INLINE __m512 load_16(const float* from) {
  return _mm512_loadu_ps(from);
}
T3D_BF16_INLINE __m512 load_16(const float* from, __mmask16 mask) {
  return _mm512_maskz_loadu_ps(mask, from);
}
T3D_BF16_INLINE void store_16(Bf16* to, __m512 x, __mmask16 mask) {
  store_bf16(to, x, mask);
}
T3D_BF16_INLINE void store_16(float* to, __m512 x, __mmask16 mask) {
  _mm512_mask_storeu_ps(to, mask, x);
}

/// 2^x on -0.5 .. 0.5, through its values at the Chebyshev points: 3.5e-6 of the value.
constexpr float kExp2[5] = {1.0f, 0.69312105f, 0.24022349f, 0.055921976f, 0.0096663684f};

/// 2^x for x <= 0, to 4e-6 of its value; 0 below 2^-126.
T3D_BF16_INLINE __m512 exp2_of_negative(__m512 x) {
  const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 rest = _mm512_sub_ps(x, whole);
  __m512 y = _mm512_set1_ps(kExp2[4]);
  y = _mm512_fmadd_ps(y, rest, _mm512_set1_ps(kExp2[3]));
  y = _mm512_fmadd_ps(y, rest, _mm512_set1_ps(kExp2[2]));
  y = _mm512_fmadd_ps(y, rest, _mm512_set1_ps(kExp2[1]));
  y = _mm512_fmadd_ps(y, rest, _mm512_set1_ps(kExp2[0]));
  return _mm512_scalef_ps(y, whole);
}

}  // namespace t3d::ops::cpu
#endif
