#pragma once

#include "t3d/ops/simd.h"

#ifdef T3D_HAS_BFLOAT16_KERNELS
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12 says so of its own _mm512_undefined
#endif
#include <immintrin.h>

#include <cstdint>

/// Products of bfloat16 matrices, cut into tiles of 16 rows of 64 bytes as AMX wants them:
///
///   left   16 rows of A, 32 of its columns:           [16][32] bfloat16
///   right  32 rows of B in pairs, 16 of its columns:  [16 pairs][16 columns][2] bfloat16
///   sum    C = A B:                                   [16][16] float
///
/// Include this in kernels only. Inline assembly rather than intrinsics: those of GCC do not tell the
/// compiler that they touch memory.
namespace t3d::ops::cpu {

constexpr int kTile = 16;              ///< rows of every tile; columns of a right tile and of sums
constexpr int kTileDepth = 32;         ///< rows of B that one product sums over
constexpr int kTileNumbers = 16 * 32;  ///< bfloat16 in a left or right tile
constexpr int kTileSums = 16 * 16;     ///< floats in a tile of sums

#define T3D_BF16 T3D_INLINE T3D_TARGET_AVX512BF16

/// Tiles of one operand: `tile(i, k)` is the i-th along the result's side, the k-th along the sum.
struct TileGrid {
  const uint16_t* first;
  int64_t step, depth_step;  ///< tiles from one to the next along either way

  T3D_INLINE const uint16_t* tile(int i, int k) const {
    return first + (i * step + k * depth_step) * kTileNumbers;
  }
};

/// Sums of R x C tiles: `tile(r, c)`.
struct SumGrid {
  float* first;
  int64_t row_step, column_step;
  T3D_INLINE float* tile(int r, int c) const { return first + (r * row_step + c * column_step) * kTileSums; }
};

/// The instruction set's tile registers while it lives: one on each thread that multiplies.
class AmxSession {
 public:
  T3D_INLINE AmxSession() {
    struct alignas(64) {
      uint8_t palette = 1, start_row = 0, reserved[14] = {};
      uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    } const shapes;
    asm volatile("ldtilecfg %0" ::"m"(shapes));
  }
  T3D_INLINE ~AmxSession() { asm volatile("tilerelease"); }
  AmxSession(const AmxSession&) = delete;
  AmxSession& operator=(const AmxSession&) = delete;
};

template <int kRegister>
T3D_INLINE void amx_zero() {
  asm volatile("tilezero %%tmm%c0" ::"i"(kRegister));
}
template <int kRegister>
T3D_INLINE void amx_load(const void* from) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(int64_t{64}), "i"(kRegister) : "memory");
}
template <int kRegister>
T3D_INLINE void amx_store(void* to) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(int64_t{64}), "i"(kRegister) : "memory");
}
template <int kSum, int kLeft, int kRight>
T3D_INLINE void amx_multiply() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSum), "i"(kLeft), "i"(kRight));
}

struct NoWork {
  T3D_BF16 void operator()() const {}
};

struct Amx {
  using Session = AmxSession;

  /// R x C tiles of sums, R and C at most 2; kAdd: on top of what is there. `meanwhile` is called while the
  /// tile unit works.
  template <int R, int C, bool kAdd, class Work>
  static T3D_BF16 void multiply(const TileGrid& left, const TileGrid& right, int depth, const SumGrid& sums,
                                const Work& meanwhile) {
    kAdd ? amx_load<0>(sums.tile(0, 0)) : amx_zero<0>();
    if constexpr (C > 1) kAdd ? amx_load<1>(sums.tile(0, 1)) : amx_zero<1>();
    if constexpr (R > 1) kAdd ? amx_load<2>(sums.tile(1, 0)) : amx_zero<2>();
    if constexpr (R > 1 && C > 1) kAdd ? amx_load<3>(sums.tile(1, 1)) : amx_zero<3>();
    for (int k = 0; k < depth; ++k) {
      amx_load<4>(left.tile(0, k));
      amx_load<6>(right.tile(0, k));
      amx_multiply<0, 4, 6>();
      if constexpr (C > 1) {
        amx_load<7>(right.tile(1, k));
        amx_multiply<1, 4, 7>();
      }
      if constexpr (R > 1) {
        amx_load<5>(left.tile(1, k));
        amx_multiply<2, 5, 6>();
      }
      if constexpr (R > 1 && C > 1) amx_multiply<3, 5, 7>();
    }
    meanwhile();
    amx_store<0>(sums.tile(0, 0));
    if constexpr (C > 1) amx_store<1>(sums.tile(0, 1));
    if constexpr (R > 1) amx_store<2>(sums.tile(1, 0));
    if constexpr (R > 1 && C > 1) amx_store<3>(sums.tile(1, 1));
  }
};

/// The same with vdpbf16ps.
struct Avx512Bf16 {
  struct Session {
    Session() {}  // not trivial, so that the variable counts as used
  };

  template <int R, int C, bool kAdd, class Work>
  static T3D_BF16 void multiply(const TileGrid& left, const TileGrid& right, int depth, const SumGrid& sums,
                                const Work& meanwhile) {
    meanwhile();
    constexpr int kRows = 8;
    for (int r = 0; r < R * kTile; r += kRows) {
      const int64_t in_tile = r % kTile * kTile;
      __m512 sum[kRows][C];
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 2
        for (int c = 0; c < C; ++c)
          sum[i][c] =
              kAdd ? _mm512_load_ps(sums.tile(r / kTile, c) + in_tile + i * kTile) : _mm512_setzero_ps();
      for (int k = 0; k < depth; ++k) {
        const uint16_t* a = left.tile(r / kTile, k) + 2 * in_tile;
        for (int p = 0; p < kTile; ++p) {
          __m512i b[C];
#pragma GCC unroll 2
          for (int c = 0; c < C; ++c) b[c] = _mm512_load_si512(right.tile(c, k) + p * kTileDepth);
#pragma GCC unroll 16
          for (int i = 0; i < kRows; ++i) {
            int32_t pair;
            __builtin_memcpy(&pair, a + i * kTileDepth + 2 * p, sizeof pair);
            const __m512i row = _mm512_set1_epi32(pair);
#pragma GCC unroll 2
            for (int c = 0; c < C; ++c)
              sum[i][c] = _mm512_dpbf16_ps(sum[i][c], (__m512bh)row, (__m512bh)b[c]);
          }
        }
      }
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 2
        for (int c = 0; c < C; ++c) _mm512_store_ps(sums.tile(r / kTile, c) + in_tile + i * kTile, sum[i][c]);
    }
  }
};

/// The nearest bfloat16, ties away from zero, in the upper half of each number: one addition, where the
/// processor's own conversion takes as long as two shuffles.
T3D_BF16 __m512i round_up_half(__m512 x) {
  return _mm512_add_epi32(_mm512_castps_si512(x), _mm512_set1_epi32(0x8000));
}

/// Pairs (even_i, odd_i) of bfloat16, i = 0..15.
T3D_BF16 __m512i to_bfloat16_pairs(__m512 even, __m512 odd) {
  return _mm512_mask_blend_epi16(0xaaaaaaaau, _mm512_srli_epi32(round_up_half(even), 16), round_up_half(odd));
}

/// The odd (or even) 16-bit words of a, then those of b.
T3D_BF16 __m512i odd_words(__m512i a, __m512i b) {
  const __m512i order = _mm512_set_epi16(63, 61, 59, 57, 55, 53, 51, 49, 47, 45, 43, 41, 39, 37, 35, 33, 31,
                                         29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
  return _mm512_permutex2var_epi16(a, order, b);
}
T3D_BF16 __m512i even_words(__m512i a, __m512i b) {
  const __m512i order = _mm512_set_epi16(62, 60, 58, 56, 54, 52, 50, 48, 46, 44, 42, 40, 38, 36, 34, 32, 30,
                                         28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
  return _mm512_permutex2var_epi16(a, order, b);
}

/// 32 numbers as bfloat16: low's 16, then high's.
T3D_BF16 __m512i to_bfloat16(__m512 low, __m512 high) {
  return odd_words(round_up_half(low), round_up_half(high));
}

/// to[c][r] = from[r][c] of a 16 x 16 matrix of 32-bit numbers.
T3D_BF16 void transpose16(const void* from, void* to) {
  const __m128i* in = static_cast<const __m128i*>(from);  // four to a row
  __m512i* out = static_cast<__m512i*>(to);
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    __m512i z[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      z[i] = _mm512_castsi128_si512(_mm_load_si128(in + 4 * i + j));
      z[i] = _mm512_inserti32x4(z[i], _mm_load_si128(in + 16 + 4 * i + j), 1);
      z[i] = _mm512_inserti32x4(z[i], _mm_load_si128(in + 32 + 4 * i + j), 2);
      z[i] = _mm512_inserti32x4(z[i], _mm_load_si128(in + 48 + 4 * i + j), 3);
    }
    const __m512i ab_low = _mm512_unpacklo_epi32(z[0], z[1]), ab_high = _mm512_unpackhi_epi32(z[0], z[1]);
    const __m512i cd_low = _mm512_unpacklo_epi32(z[2], z[3]), cd_high = _mm512_unpackhi_epi32(z[2], z[3]);
    _mm512_store_si512(out + 4 * j, _mm512_unpacklo_epi64(ab_low, cd_low));
    _mm512_store_si512(out + 4 * j + 1, _mm512_unpackhi_epi64(ab_low, cd_low));
    _mm512_store_si512(out + 4 * j + 2, _mm512_unpacklo_epi64(ab_high, cd_high));
    _mm512_store_si512(out + 4 * j + 3, _mm512_unpackhi_epi64(ab_high, cd_high));
  }
}

}  // namespace t3d::ops::cpu
#endif
