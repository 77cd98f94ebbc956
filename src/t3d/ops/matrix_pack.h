#pragma once

#include <algorithm>

#include "t3d/ops/matrix_block.h"

#ifdef T3D_HAS_MATRIX_BLOCK
/// Right factors brought into the order of matrix_block.h. For kernel files only.
namespace t3d::ops::cpu {

/// to[r][c] = from[c][r] in units of 32 bits, 16 x 16; rows of `from` beyond n_rows count as zero.
T3D_BF16_INLINE void transpose_pairs(const Bf16* from, int64_t stride, int64_t n_rows, Bf16* to) {
  __m512i a[16], b[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i)
    a[i] = i < n_rows ? _mm512_loadu_si512(from + i * stride) : _mm512_setzero_si512();
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
    b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
    a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
    a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
    a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
  }
  // a[4 g + j]: rows 4 g .. 4 g + 3 at the columns j, 4 + j, 8 + j, 12 + j.
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const __m512i low = _mm512_shuffle_i32x4(a[j], a[4 + j], 0x88);  // columns j, 8 + j
    const __m512i high = _mm512_shuffle_i32x4(a[8 + j], a[12 + j], 0x88);
    const __m512i low_odd = _mm512_shuffle_i32x4(a[j], a[4 + j], 0xdd);  // columns 4 + j, 12 + j
    const __m512i high_odd = _mm512_shuffle_i32x4(a[8 + j], a[12 + j], 0xdd);
    _mm512_storeu_si512(to + 32 * j, _mm512_shuffle_i32x4(low, high, 0x88));
    _mm512_storeu_si512(to + 32 * (8 + j), _mm512_shuffle_i32x4(low, high, 0xdd));
    _mm512_storeu_si512(to + 32 * (4 + j), _mm512_shuffle_i32x4(low_odd, high_odd, 0x88));
    _mm512_storeu_si512(to + 32 * (12 + j), _mm512_shuffle_i32x4(low_odd, high_odd, 0xdd));
  }
}

/// Thirty-two numbers of a row, zero beyond its end.
T3D_BF16_INLINE __m512i load_row(const Bf16* from, int64_t n) {
  if (n >= 32) return _mm512_loadu_si512(from);
  return _mm512_maskz_loadu_epi16(n <= 0 ? 0 : (__mmask32{1} << n) - 1, from);
}

/// The transpose of rows [n_rows][width] as a right factor: packed[block of 32 rows][step of 32 along the
/// width], zeros where the last block and step reach beyond.
inline T3D_TARGET_BF16 void pack_transposed(const Bf16* rows, int64_t stride, int64_t n_rows, int64_t width,
                                            Bf16* packed) {
  const int64_t n_steps = (width + kBlock - 1) / kBlock;
  alignas(64) Bf16 whole[16 * 32];
  for (int64_t row = 0; row < n_rows; row += kBlock)
    for (int64_t step = 0; step < n_steps; ++step, packed += kStepSize)
      for (int64_t half = 0; half < 2; ++half) {
        const int64_t first = row + 16 * half, n = std::clamp<int64_t>(n_rows - first, 0, 16);
        const Bf16* from = rows + first * stride + 32 * step;
        if (width - 32 * step >= 32) {
          transpose_pairs(from, stride, n, packed + half * kTileSize);
          continue;
        }
        for (int64_t i = 0; i < 16; ++i)
          _mm512_store_si512(whole + 32 * i,
                             i < n ? load_row(from + i * stride, width - 32 * step) : _mm512_setzero_si512());
        transpose_pairs(whole, 32, 16, packed + half * kTileSize);
      }
}

}  // namespace t3d::ops::cpu
#endif
