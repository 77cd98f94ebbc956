#pragma once

#include "t3d/ops/matrix_block.h"
#include "t3d/ops/tile_sizes.h"

#ifdef T3D_HAS_MATRIX_BLOCK

/// Products of bfloat16 matrices, cut into tiles of 16 rows of 64 bytes as AMX wants them:
///
///   left   16 rows of A, 32 of its columns:           [16][32] bfloat16
///   right  32 rows of B in pairs, 16 of its columns:  [16 pairs][16 columns][2] bfloat16
///   sum    C = A B:                                   [16][16] float
///
/// Unlike matrix_block.h, whose sums are rows of a matrix, everything here lies tile by tile. For kernel
/// files only.
namespace t3d::ops::cpu {

constexpr int64_t kTileRowBytes = 64;

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

struct NoWork {
  T3D_BF16_INLINE void operator()() const {}
};

#define T3D_SUM_TILE(TILE, SUMS)                \
  do {                                          \
    if constexpr (kAdd)                         \
      T3D_TILE_LOAD(TILE, SUMS, kTileRowBytes); \
    else                                        \
      T3D_TILE_ZERO(TILE);                      \
  } while (false)

struct AmxTileProducts : AmxTiles {
  /// R x C tiles of sums, R and C at most 2; kAdd: on top of what is there. `meanwhile` is called while the
  /// tile unit works.
  template <int R, int C, bool kAdd, class Work>
  static T3D_BF16_INLINE void multiply(const TileGrid& left, const TileGrid& right, int depth,
                                       const SumGrid& sums, const Work& meanwhile) {
    T3D_SUM_TILE(0, sums.tile(0, 0));
    if constexpr (C > 1) T3D_SUM_TILE(1, sums.tile(0, 1));
    if constexpr (R > 1) T3D_SUM_TILE(2, sums.tile(1, 0));
    if constexpr (R > 1 && C > 1) T3D_SUM_TILE(3, sums.tile(1, 1));
    for (int k = 0; k < depth; ++k) {
      T3D_TILE_LOAD(4, left.tile(0, k), kTileRowBytes);
      T3D_TILE_LOAD(6, right.tile(0, k), kTileRowBytes);
      T3D_TILE_MULTIPLY(0, 4, 6);
      if constexpr (C > 1) {
        T3D_TILE_LOAD(7, right.tile(1, k), kTileRowBytes);
        T3D_TILE_MULTIPLY(1, 4, 7);
      }
      if constexpr (R > 1) {
        T3D_TILE_LOAD(5, left.tile(1, k), kTileRowBytes);
        T3D_TILE_MULTIPLY(2, 5, 6);
      }
      if constexpr (R > 1 && C > 1) T3D_TILE_MULTIPLY(3, 5, 7);
    }
    meanwhile();
    T3D_TILE_STORE(0, sums.tile(0, 0), kTileRowBytes);
    if constexpr (C > 1) T3D_TILE_STORE(1, sums.tile(0, 1), kTileRowBytes);
    if constexpr (R > 1) T3D_TILE_STORE(2, sums.tile(1, 0), kTileRowBytes);
    if constexpr (R > 1 && C > 1) T3D_TILE_STORE(3, sums.tile(1, 1), kTileRowBytes);
  }
};

/// The same with vdpbf16ps.
struct Avx512TileProducts : Avx512Bf16 {
  template <int R, int C, bool kAdd, class Work>
  static T3D_BF16_INLINE void multiply(const TileGrid& left, const TileGrid& right, int depth,
                                       const SumGrid& sums, const Work& meanwhile) {
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
T3D_BF16_INLINE __m512i round_up_half(__m512 x) {
  return _mm512_add_epi32(_mm512_castps_si512(x), _mm512_set1_epi32(0x8000));
}

/// Pairs (even_i, odd_i) of bfloat16, i = 0..15.
T3D_BF16_INLINE __m512i to_bfloat16_pairs(__m512 even, __m512 odd) {
  return _mm512_mask_blend_epi16(0xaaaaaaaau, _mm512_srli_epi32(round_up_half(even), 16), round_up_half(odd));
}

/// The odd (or even) 16-bit words of a, then those of b.
T3D_BF16_INLINE __m512i odd_words(__m512i a, __m512i b) {
  const __m512i order = _mm512_set_epi16(63, 61, 59, 57, 55, 53, 51, 49, 47, 45, 43, 41, 39, 37, 35, 33, 31,
                                         29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
  return _mm512_permutex2var_epi16(a, order, b);
}
T3D_BF16_INLINE __m512i even_words(__m512i a, __m512i b) {
  const __m512i order = _mm512_set_epi16(62, 60, 58, 56, 54, 52, 50, 48, 46, 44, 42, 40, 38, 36, 34, 32, 30,
                                         28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
  return _mm512_permutex2var_epi16(a, order, b);
}

/// 32 numbers as bfloat16: low's 16, then high's.
T3D_BF16_INLINE __m512i to_bfloat16(__m512 low, __m512 high) {
  return odd_words(round_up_half(low), round_up_half(high));
}

/// to[c][r] = from[r][c] of a 16 x 16 matrix of 32-bit numbers.
T3D_BF16_INLINE void transpose16(const void* from, void* to) {
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
