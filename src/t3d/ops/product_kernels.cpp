#include "t3d/ops/product_kernels.h"

#include <omp.h>

#include <algorithm>

#include "t3d/core/error.h"
#include "t3d/ops/aligned.h"
#include "t3d/ops/matrix_pack.h"

namespace t3d::ops::cpu {

#ifdef T3D_HAS_MATRIX_BLOCK
namespace {

constexpr int64_t kMostBlocks = 8;      // of 32 rows in one task
constexpr int64_t kRowBytes = 1 << 20;  // of a task's left factor: they stay in the second cache
constexpr int64_t kMostSteps = 10;      // of one pass: 20 KiB of the packed factor stay in the first cache

constexpr int64_t ceil_of(int64_t n, int64_t unit) {
  return (n + unit - 1) / unit;
}

/// gelu(x) = x (1 + erf(x / sqrt 2)) / 2, erf by Abramowitz and Stegun 7.1.26: 1.5e-7.
T3D_BF16_INLINE __m512 gelu(__m512 x) {
  const __m512 u = _mm512_mul_ps(_mm512_abs_ps(x), _mm512_set1_ps(0.70710678f));
  const __m512 t =
      _mm512_div_ps(_mm512_set1_ps(1.f), _mm512_fmadd_ps(u, _mm512_set1_ps(0.3275911f), _mm512_set1_ps(1.f)));
  __m512 y = _mm512_set1_ps(1.061405429f);
  y = _mm512_fmadd_ps(y, t, _mm512_set1_ps(-1.453152027f));
  y = _mm512_fmadd_ps(y, t, _mm512_set1_ps(1.421413741f));
  y = _mm512_fmadd_ps(y, t, _mm512_set1_ps(-0.284496736f));
  y = _mm512_fmadd_ps(y, t, _mm512_set1_ps(0.254829592f));
  // What erf lacks to 1 at |x| / sqrt 2.
  const __m512 lack =
      _mm512_mul_ps(_mm512_mul_ps(y, t),
                    exp2_of_negative(_mm512_mul_ps(_mm512_mul_ps(u, u), _mm512_set1_ps(-1.44269504f))));
  const __m512 half = _mm512_mul_ps(x, _mm512_set1_ps(0.5f));
  const __m512 short_by = _mm512_mul_ps(half, lack);
  const __mmask16 negative = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ);
  return _mm512_mask_blend_ps(negative, _mm512_sub_ps(x, short_by), short_by);
}

/// Brings what `finish` adds to and overwrites into the second cache: half a line or a line of bfloat16, two
/// lines of single precision.
template <class Number>
T3D_BF16_INLINE void fetch_rows(const ProductCall& c, const int32_t* rows, int64_t panel) {
  constexpr int64_t kLineNumbers = 64 / sizeof(Number);
  const int64_t column = panel * kBlock, out_column = c.is_gated ? column / 2 : column;
  for (int64_t r = 0; r < kBlock; ++r) {
    if (rows[r] < 0) continue;
    for (int64_t i = 0; i < kBlock; i += kLineNumbers) {
      if (c.residual != nullptr)
        _mm_prefetch(reinterpret_cast<const char*>(static_cast<const Number*>(c.residual) +
                                                   rows[r] * c.residual_stride + column + i),
                     _MM_HINT_T1);
      __builtin_prefetch(static_cast<Number*>(c.out) + rows[r] * c.out_stride + out_column + i, 1);
    }
  }
}

/// 32 rows of sums [32][32] of one panel to where they belong.
template <class Number>
T3D_BF16_INLINE void finish(const ProductCall& c, const float* sum, const int32_t* rows, int64_t panel) {
  const int64_t column = panel * kBlock;
  const int64_t n = std::min<int64_t>(kBlock, c.n_columns - column);
  const __mmask16 low = first_of_16(n), high = first_of_16(n - 16);
  const __m512 bias_0 = c.bias != nullptr ? _mm512_loadu_ps(c.bias + column) : _mm512_setzero_ps();
  const __m512 bias_1 = c.bias != nullptr ? _mm512_loadu_ps(c.bias + column + 16) : _mm512_setzero_ps();
  const Number* const residual = static_cast<const Number*>(c.residual);
  Number* const out = static_cast<Number*>(c.out);
  for (int64_t r = 0; r < kBlock; ++r, sum += kBlock) {
    const int64_t row = rows[r];
    if (row < 0) continue;
    __m512 x0 = _mm512_add_ps(_mm512_loadu_ps(sum), bias_0),
           x1 = _mm512_add_ps(_mm512_loadu_ps(sum + 16), bias_1);
    if (c.is_gated) {
      store_16(out + row * c.out_stride + column / 2, _mm512_mul_ps(x0, gelu(x1)), 0xffff);
      continue;
    }
    if (c.item_bias != nullptr) {
      const float* more = c.item_bias + row / c.rows_per_item * c.n_columns + column;
      x0 = _mm512_add_ps(x0, load_16(more, low));
      x1 = _mm512_add_ps(x1, load_16(more + 16, high));
    }
    if (residual != nullptr) {
      const Number* more = residual + row * c.residual_stride + column;
      x0 = _mm512_add_ps(x0, load_16(more, low));
      x1 = _mm512_add_ps(x1, load_16(more + 16, high));
    }
    Number* to = out + row * c.out_stride + column;
    store_16(to, x0, low);
    store_16(to + 16, x1, high);
  }
}

/// Some blocks of 32 rows times some panels of 32 columns.
template <class Unit, class Number>
T3D_BF16_INLINE void product_part(const ProductCall& c, int64_t block_begin, int64_t block_end,
                                  int64_t panel_begin, int64_t panel_end, float* sums) {
  const int64_t panel_size = c.n_taps * c.steps_per_tap * kStepSize;
  Unit::begin();
  for (int64_t panel = panel_begin; panel < panel_end; ++panel) {
    const Bf16* packed = c.packed + panel * panel_size;
    bool add = false;
    for (int64_t tap = 0; tap < c.n_taps; ++tap)
      for (int64_t step = 0; step < c.steps_per_tap; step += kMostSteps) {
        const int64_t n_steps = std::min(kMostSteps, c.steps_per_tap - step);
        const int64_t offset = c.taps[tap] + kBlock * step;
        // What the next pass multiplies by comes meanwhile, every block of rows fetches its share of it.
        const Bf16* next = packed + n_steps * kStepSize;
        const int64_t n_lines = ceil_of(kStepSize / kLine, block_end - block_begin);
        const bool is_last = tap + 1 == c.n_taps && step + kMostSteps >= c.steps_per_tap;
        for (int64_t block = block_begin; block < block_end; ++block) {
          if (is_last) fetch_rows<Number>(c, c.out_rows + block * kBlock, panel);
          Unit::multiply({c.tiles[2 * block] + offset, c.tiles[2 * block + 1] + offset, c.left_stride},
                         packed, n_steps, sums + (block - block_begin) * kBlock * kBlock, kBlock, add,
                         {next + (block - block_begin) * n_lines * kLine, n_lines});
        }
        packed += n_steps * kStepSize;
        add = true;
      }
    for (int64_t block = block_begin; block < block_end; ++block)
      finish<Number>(c, sums + (block - block_begin) * kBlock * kBlock, c.out_rows + block * kBlock, panel);
  }
  Unit::end();
}

T3D_TARGET_BF16 void part_amx(const ProductCall& c, int64_t block_begin, int64_t block_end,
                              int64_t panel_begin, int64_t panel_end, float* sums) {
  if (c.is_single)
    product_part<AmxTiles, float>(c, block_begin, block_end, panel_begin, panel_end, sums);
  else
    product_part<AmxTiles, Bf16>(c, block_begin, block_end, panel_begin, panel_end, sums);
}
T3D_TARGET_BF16 void part_avx512(const ProductCall& c, int64_t block_begin, int64_t block_end,
                                 int64_t panel_begin, int64_t panel_end, float* sums) {
  if (c.is_single)
    product_part<Avx512Bf16, float>(c, block_begin, block_end, panel_begin, panel_end, sums);
  else
    product_part<Avx512Bf16, Bf16>(c, block_begin, block_end, panel_begin, panel_end, sums);
}

T3D_TARGET_BF16 void pack_rows(const Bf16* rows, int64_t stride, int64_t n_rows, int64_t width,
                               Bf16* packed) {
  pack_transposed(rows, stride, n_rows, width, packed);
}

/// Up to 16 rows of a weight out of the tiles of each step.
T3D_TARGET_BF16 void unpack_rows(const Bf16* packed, int64_t n_rows, int64_t width, Bf16* weight,
                                 int64_t stride) {
  alignas(64) Bf16 rows[kTileRows * kBlock];
  for (int64_t step = 0; step < width; step += kBlock, packed += kStepSize) {
    transpose_pairs(packed, kBlock, kTileRows, rows);
    for (int64_t r = 0; r < n_rows; ++r)
      std::copy_n(rows + r * kBlock, std::min(kBlock, width - step), weight + r * stride + step);
  }
}

}  // namespace

void product(const ProductCall& c) {
  T3D_CHECK(matrix_unit() != MatrixUnit::None && c.n_tiles % 2 == 0, "no matrix unit, or ", c.n_tiles,
            " tiles");
  const auto part = matrix_unit() == MatrixUnit::Amx ? part_amx : part_avx512;
  const int64_t n_blocks = c.n_tiles / 2, n_panels = ceil_of(c.n_columns, kBlock);
  const int64_t most_blocks =
      std::clamp<int64_t>(kRowBytes / (c.steps_per_tap * kStepSize * sizeof(Bf16)), 2, kMostBlocks);
  const int64_t n_parts = ceil_of(n_blocks, most_blocks), blocks = ceil_of(n_blocks, n_parts);
  // Enough tasks for every thread, in as few runs of panels as that allows: each run reads the rows again.
  const int64_t threads = omp_get_max_threads(), wanted = threads > 1 ? 4 * threads : 1;
  const int64_t runs = std::min(n_panels, ceil_of(wanted, n_parts)), panels = ceil_of(n_panels, runs);
  const int64_t n_runs = ceil_of(n_panels, panels), n_tasks = n_runs * n_parts;
#pragma omp parallel if (n_tasks > 1)
  {
    const Aligned<float> sums(blocks * kBlock * kBlock);
#pragma omp for schedule(dynamic)
    for (int64_t task = 0; task < n_tasks; ++task) {
      const int64_t block = task % n_parts * blocks, panel = task / n_parts * panels;
      part(c, block, std::min(block + blocks, n_blocks), panel, std::min(panel + panels, n_panels),
           sums.data());
    }
  }
}

void pack_weight(const uint16_t* weight, int64_t stride, int64_t n_rows, int64_t width, int64_t tap,
                 int64_t n_taps, uint16_t* packed) {
  const int64_t tap_size = ceil_of(width, kBlock) * kStepSize;
#pragma omp parallel for
  for (int64_t row = 0; row < n_rows; row += kBlock)
    pack_rows(weight + row * stride, stride, std::min(kBlock, n_rows - row), width,
              packed + (row / kBlock * n_taps + tap) * tap_size);
}

void unpack_weight(const uint16_t* packed, int64_t n_rows, int64_t width, int64_t tap, int64_t n_taps,
                   uint16_t* weight, int64_t stride) {
  const int64_t tap_size = ceil_of(width, kBlock) * kStepSize;
#pragma omp parallel for
  for (int64_t row = 0; row < n_rows; row += kTileRows)
    unpack_rows(packed + (row / kBlock * n_taps + tap) * tap_size + row % kBlock / kTileRows * kTileSize,
                std::min(kTileRows, n_rows - row), width, weight + row * stride, stride);
}

#else

void product(const ProductCall&) {
  T3D_CHECK(false, "no matrix unit");
}
void pack_weight(const uint16_t*, int64_t, int64_t, int64_t, int64_t, int64_t, uint16_t*) {
  T3D_CHECK(false, "no matrix unit");
}
void unpack_weight(const uint16_t*, int64_t, int64_t, int64_t, int64_t, uint16_t*, int64_t) {
  T3D_CHECK(false, "no matrix unit");
}

#endif

}  // namespace t3d::ops::cpu
