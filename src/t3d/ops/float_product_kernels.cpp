#include "t3d/ops/float_product_kernels.h"

#include <omp.h>

#include <algorithm>

#include "t3d/ops/aligned.h"
#include "t3d/ops/float_lanes.h"

namespace t3d::ops::cpu {
namespace {

constexpr int64_t kRowBytes = 192 << 10;    // of a task's left factor: they stay in the second cache
constexpr int64_t kPassFloats = 4608;       // of the packed factor in one pass: 18 KiB stay in the first cache
constexpr int64_t kMostVectors = 3;         // of a panel
constexpr int64_t kLeastTiles = 8, kMostTiles = 64;  // of a task

constexpr int64_t ceil_of(int64_t n, int64_t unit) {
  return (n + unit - 1) / unit;
}

/// Channels begin .. end of one tap.
struct Stretch {
  int64_t offset, n;
};

/// sum[r][v] = (or += where `add`) the product of R rows, `stride` floats apart, with NV vectors of columns. Each
/// pass is summed by itself, so that errors grow with its length and not the whole sum's.
template <class V, int R, int NV>
T3D_INLINE void multiply(const float* left, int64_t stride, const Stretch* stretches, int64_t n_stretches,
                         const float* packed, float* sum, bool add) {
  constexpr int64_t kWidth = sizeof(V) / sizeof(float);
  V total[R][NV] = {};
  for (int64_t s = 0; s < n_stretches; ++s) {
    multiply_block(total, left + stretches[s].offset, stride, 1, stretches[s].n, packed, NV * kWidth);
    packed += stretches[s].n * NV * kWidth;
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
      float* const to = sum + (r * NV + v) * kWidth;
      store_lanes(to, add ? V(load_lanes<V>(to) + total[r][v]) : total[r][v]);
    }
}

/// gelu(x) = x (1 + erf(x / sqrt 2)) / 2, erf by Abramowitz and Stegun 7.1.26: 1.5e-7.
template <class Lanes>
T3D_INLINE typename Lanes::V gelu_lanes(const typename Lanes::V& x) {
  using V = typename Lanes::V;
  const V u = (x < 0.f ? -x : x) * 0.70710678f;
  const V t = 1.f / (u * 0.3275911f + 1.f);
  V y = V{} + 1.061405429f;
  y = y * t - 1.453152027f;
  y = y * t + 1.421413741f;
  y = y * t - 0.284496736f;
  y = y * t + 0.254829592f;
  const V lack = y * t * exp2_of_negative_lanes<Lanes>(V(u * u * -1.44269504f));  // what erf lacks to 1
  const V short_by = x * 0.5f * lack;
  return x < 0.f ? short_by : V(x - short_by);
}

/// One tile's sums of one panel to where they belong.
template <class Lanes, int NV>
T3D_INLINE void finish(const FloatProductCall& c, const float* sum, const int32_t* rows, int64_t column) {
  using V = typename Lanes::V;
  constexpr int64_t kWidth = kLanes<Lanes>;
  V bias[NV];
#pragma GCC unroll 4
  for (int v = 0; v < NV; ++v)
    bias[v] = c.bias != nullptr ? load_lanes<V>(c.bias + column + v * kWidth) : V{};
  for (int64_t r = 0; r < kFloatTileRows; ++r, sum += NV * kWidth) {
    const int64_t row = rows[r];
    if (row < 0) continue;
    if constexpr (NV == 2)
      if (c.is_gated) {
        store_lanes(c.out + row * c.out_stride + column / 2,
                    V((load_lanes<V>(sum) + bias[0]) *
                      gelu_lanes<Lanes>(V(load_lanes<V>(sum + kWidth) + bias[1]))));
        continue;
      }
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
      const int64_t at = column + v * kWidth, n = c.n_columns - at;
      V x = load_lanes<V>(sum + v * kWidth) + bias[v];
      if (c.item_bias != nullptr)
        x += load_lanes<V>(c.item_bias + row / c.rows_per_item * c.n_columns + at, n);
      if (c.residual != nullptr) x += load_lanes<V>(c.residual + row * c.residual_stride + at, n);
      store_lanes(c.out + row * c.out_stride + at, x, n);
    }
  }
}

/// Some tiles times one panel of NV vectors.
template <class Lanes, int NV>
T3D_INLINE void panel_part(const FloatProductCall& c, int64_t tile_begin, int64_t tile_end, int64_t panel,
                           Stretch* stretches, float* sums) {
  constexpr int64_t kColumns = NV * kLanes<Lanes>, kRows = Lanes::kTile;
  const int64_t column = c.panels->first[panel], most = kPassFloats / kColumns;
  const float* packed = c.packed + column * c.n_taps * c.tap_width;
  bool add = false;
  int64_t tap = 0, channel = 0;
  while (tap < c.n_taps) {
    int64_t n = 0, left = most;
    while (tap < c.n_taps && left > 0) {
      const int64_t run = std::min(left, c.tap_width - channel);
      stretches[n++] = {c.taps[tap] + channel, run};
      left -= run;
      channel += run;
      if (channel == c.tap_width) ++tap, channel = 0;
    }
    float* sum = sums;
    for (int64_t tile = tile_begin; tile < tile_end; ++tile)
      for (int64_t row = 0; row < kFloatTileRows; row += kRows, sum += kRows * kColumns)
        multiply<typename Lanes::V, static_cast<int>(kRows), NV>(
            c.tiles[tile] + row * c.left_stride, c.left_stride, stretches, n, packed, sum, add);
    packed += (most - left) * kColumns;
    add = true;
  }
  for (int64_t tile = tile_begin; tile < tile_end; ++tile)
    finish<Lanes, NV>(c, sums + (tile - tile_begin) * kFloatTileRows * kColumns,
                      c.out_rows + tile * kFloatTileRows, column);
}

template <class Lanes>
T3D_INLINE void product_part(const FloatProductCall& c, int64_t tile_begin, int64_t tile_end,
                             int64_t panel_begin, int64_t panel_end, Stretch* stretches, float* sums) {
  for (int64_t panel = panel_begin; panel < panel_end; ++panel) {
    const int64_t vectors = (c.panels->first[panel + 1] - c.panels->first[panel]) / kLanes<Lanes>;
    if (vectors == 3)
      panel_part<Lanes, 3>(c, tile_begin, tile_end, panel, stretches, sums);
    else if (vectors == 2)
      panel_part<Lanes, 2>(c, tile_begin, tile_end, panel, stretches, sums);
    else
      panel_part<Lanes, 1>(c, tile_begin, tile_end, panel, stretches, sums);
  }
}

void part_portable(const FloatProductCall& c, int64_t tile_begin, int64_t tile_end, int64_t panel_begin,
                   int64_t panel_end, Stretch* stretches, float* sums) {
  product_part<PortableLanes>(c, tile_begin, tile_end, panel_begin, panel_end, stretches, sums);
}
T3D_TARGET_AVX2 void part_avx2(const FloatProductCall& c, int64_t tile_begin, int64_t tile_end,
                               int64_t panel_begin, int64_t panel_end, Stretch* stretches, float* sums) {
  product_part<Avx2Lanes>(c, tile_begin, tile_end, panel_begin, panel_end, stretches, sums);
}
T3D_TARGET_AVX512 void part_avx512(const FloatProductCall& c, int64_t tile_begin, int64_t tile_end,
                                   int64_t panel_begin, int64_t panel_end, Stretch* stretches, float* sums) {
  product_part<Avx512Lanes>(c, tile_begin, tile_end, panel_begin, panel_end, stretches, sums);
}

}  // namespace

FloatPanels float_panels(Simd simd, int64_t n_columns, bool is_gated) {
  FloatPanels panels;
  panels.vector = simd == Simd::Avx512 ? 16 : simd == Simd::Avx2 ? 8 : 4;
  int64_t left = ceil_of(n_columns, panels.vector), column = 0;
  while (left > 0) {
    const int64_t vectors = is_gated || left == 2 || left == 4 ? 2 : std::min(left, kMostVectors);
    panels.first.push_back(column);
    column += vectors * panels.vector;
    left -= vectors;
  }
  panels.first.push_back(column);
  return panels;
}

void float_product(const FloatProductCall& c) {
  const auto part = c.simd == Simd::Avx512 ? part_avx512 : c.simd == Simd::Avx2 ? part_avx2 : part_portable;
  const int64_t row_bytes = c.tap_width * static_cast<int64_t>(sizeof(float));
  const int64_t most_tiles =
      std::clamp(kRowBytes / (row_bytes * kFloatTileRows), kLeastTiles, kMostTiles);
  const int64_t n_parts = ceil_of(c.n_tiles, most_tiles), tiles = ceil_of(c.n_tiles, n_parts);
  // Enough tasks for every thread, in as few runs of panels as that allows: each run reads the rows again.
  const int64_t threads = omp_get_max_threads(), wanted = threads > 1 ? 4 * threads : 1;
  const int64_t runs = std::min(c.panels->size(), ceil_of(wanted, n_parts)),
                panels = ceil_of(c.panels->size(), runs);
  const int64_t n_tasks = ceil_of(c.panels->size(), panels) * n_parts;
#pragma omp parallel if (n_tasks > 1)
  {
    const Aligned<float> sums(tiles * kFloatTileRows * kMostVectors * c.panels->vector);
    std::vector<Stretch> stretches(static_cast<size_t>(c.n_taps) + 2);
#pragma omp for schedule(dynamic)
    for (int64_t task = 0; task < n_tasks; ++task) {
      const int64_t tile = task % n_parts * tiles, panel = task / n_parts * panels;
      part(c, tile, std::min(tile + tiles, c.n_tiles), panel, std::min(panel + panels, c.panels->size()),
           stretches.data(), sums.data());
    }
  }
}

}  // namespace t3d::ops::cpu
