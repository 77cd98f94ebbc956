#include "t3d/ops/float_winograd_kernels.h"

#include <algorithm>

#include "t3d/ops/aligned.h"
#include "t3d/ops/float_lanes.h"

namespace t3d::ops::cpu {
namespace {

constexpr int64_t kWindow = 6, kTaps = kWinogradTaps;
constexpr int64_t kWindowBytes = 512 << 10;  // of a task's windows after the map: they stay in the second cache
constexpr int64_t kLeastTiles = 8, kMostTiles = 64;
constexpr int64_t kLine = 16;  // floats

/// One direction of the map of windows, in place: six vectors `step` apart.
template <class V>
T3D_INLINE void map_window(V* x, int step) {
  const V x0 = x[0], x1 = x[step], x2 = x[2 * step], x3 = x[3 * step], x4 = x[4 * step], x5 = x[5 * step];
  const V even = x4 - 4.f * x2, odd = x3 - 4.f * x1, even_2 = x4 - x2, odd_2 = 2.f * (x3 - x1);
  x[0] = 4.f * x0 - 5.f * x2 + x4;
  x[step] = even + odd;
  x[2 * step] = even - odd;
  x[3 * step] = even_2 + odd_2;
  x[4 * step] = even_2 - odd_2;
  x[5 * step] = 4.f * x1 - 5.f * x3 + x5;
}

/// One direction of the map of products: six vectors to four.
template <class V>
T3D_INLINE void map_products(const V* m, int step, V* y, int y_step) {
  const V sum = m[step] + m[2 * step], difference = m[step] - m[2 * step];
  const V sum_2 = m[3 * step] + m[4 * step], difference_2 = m[3 * step] - m[4 * step];
  y[0] = m[0] + sum + sum_2;
  y[y_step] = difference + 2.f * difference_2;
  y[2 * y_step] = sum + 4.f * sum_2;
  y[3 * y_step] = difference + 8.f * difference_2 + m[5 * step];
}

/// Where tile i lies: its item and its upper left pixel in the result.
struct TilePlace {
  int64_t item, y, x;
};
T3D_INLINE TilePlace place_of(const FloatWinogradCall& c, int64_t i) {
  const int64_t across = c.width / kWinogradTile, per_item = across * (c.height / kWinogradTile);
  return {i / per_item, i % per_item / across * kWinogradTile, i % across * kWinogradTile};
}

/// The windows of some tiles, to[tap][tile][channel], taps tap_stride apart.
template <class Lanes>
T3D_INLINE void map_windows(const FloatWinogradCall& c, int64_t begin, int64_t end, int64_t channels,
                            int64_t tap_stride, float* to) {
  using V = typename Lanes::V;
  for (int64_t i = begin; i < end; ++i, to += channels) {
    const TilePlace at = place_of(c, i);
    const float* const window = c.picture + at.item * c.item + at.y * c.row + at.x * c.pixel;
    for (int64_t channel = 0; channel < c.n_in; channel += kLanes<Lanes>) {
      V x[kTaps];
#pragma GCC unroll 6
      for (int row = 0; row < kWindow; ++row) {
#pragma GCC unroll 6
        for (int column = 0; column < kWindow; ++column)
          x[row * kWindow + column] =
              load_lanes<V>(window + row * c.row + column * c.pixel + channel, c.n_in - channel);
        map_window(x + row * kWindow, 1);
      }
#pragma GCC unroll 6
      for (int column = 0; column < kWindow; ++column) {
        map_window(x + column, kWindow);
#pragma GCC unroll 6
        for (int row = 0; row < kWindow; ++row)
          store_lanes(to + (row * kWindow + column) * tap_stride + channel, x[row * kWindow + column]);
      }
    }
  }
}

/// Products [tap][tile][columns] of one panel to the pixels of the result.
template <class Lanes, int NV>
T3D_INLINE void finish_tiles(const FloatWinogradCall& c, int64_t begin, int64_t end, int64_t column,
                             const float* products, int64_t tap_stride) {
  using V = typename Lanes::V;
  constexpr int64_t kWidth = kLanes<Lanes>;
  for (int64_t i = begin; i < end; ++i, products += NV * kWidth) {
    const TilePlace at = place_of(c, i);
    for (int64_t v = 0; v < NV; ++v) {
      const int64_t from = column + v * kWidth, n = c.n_out - from;
      if (n <= 0) continue;
      V m[kWindow * kWinogradTile], y[kWinogradTile];
#pragma GCC unroll 6
      for (int tap_column = 0; tap_column < kWindow; ++tap_column) {
        V along[kWindow];
#pragma GCC unroll 6
        for (int row = 0; row < kWindow; ++row)
          along[row] = load_lanes<V>(products + (row * kWindow + tap_column) * tap_stride + v * kWidth);
        map_products(along, 1, m + tap_column, kWindow);
      }
      V offset = c.bias != nullptr ? load_lanes<V>(c.bias + from) : V{};
      if (c.item_bias != nullptr) offset += load_lanes<V>(c.item_bias + at.item * c.n_out + from, n);
#pragma GCC unroll 4
      for (int row = 0; row < kWinogradTile; ++row) {
        map_products(m + row * kWindow, 1, y, 1);
        const int64_t first = ((at.item * c.height + at.y + row) * c.width + at.x) * c.n_out + from;
#pragma GCC unroll 4
        for (int p = 0; p < kWinogradTile; ++p) {
          V sum = y[p] + offset;
          if (c.residual != nullptr) sum += load_lanes<V>(c.residual + first + p * c.n_out, n);
          store_lanes(c.out + first + p * c.n_out, sum, n);
        }
      }
    }
  }
}

/// All taps of one panel of NV vectors.
template <class Lanes, int NV>
T3D_INLINE void multiply_panel(const FloatWinogradCall& c, int64_t begin, int64_t end, int64_t panel,
                               const float* windows, int64_t channels, int64_t window_stride, float* products) {
  using V = typename Lanes::V;
  constexpr int R = Lanes::kTile;
  constexpr int64_t kWidth = kLanes<Lanes>, kColumns = NV * kWidth;
  const int64_t rows = (end - begin + R - 1) / R * R, product_stride = rows * kColumns + kLine;
  const int64_t column = c.panels->first[panel];
  for (int64_t tap = 0; tap < kTaps; ++tap) {
    const float* packed = c.packed + (column * kTaps + tap * kColumns) * c.n_in;
    for (int64_t row = 0; row < rows; row += R) {
      V total[R][NV] = {};
      multiply_block(total, windows + tap * window_stride + row * channels, channels, 1, c.n_in, packed,
                     kColumns);
      float* to = products + tap * product_stride + row * kColumns;
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) store_lanes(to + (r * NV + v) * kWidth, total[r][v]);
    }
  }
  finish_tiles<Lanes, NV>(c, begin, end, column, products, product_stride);
}

template <class Lanes>
T3D_INLINE void winograd_part(const FloatWinogradCall& c, int64_t begin, int64_t end, int64_t channels,
                              int64_t window_stride, float* windows, float* products) {
  map_windows<Lanes>(c, begin, end, channels, window_stride, windows);
  for (int64_t panel = 0; panel < c.panels->size(); ++panel) {
    const int64_t vectors = (c.panels->first[panel + 1] - c.panels->first[panel]) / kLanes<Lanes>;
    if (vectors == 3)
      multiply_panel<Lanes, 3>(c, begin, end, panel, windows, channels, window_stride, products);
    else if (vectors == 2)
      multiply_panel<Lanes, 2>(c, begin, end, panel, windows, channels, window_stride, products);
    else
      multiply_panel<Lanes, 1>(c, begin, end, panel, windows, channels, window_stride, products);
  }
}

void winograd_portable(const FloatWinogradCall& c, int64_t begin, int64_t end, int64_t channels,
                       int64_t window_stride, float* windows, float* products) {
  winograd_part<PortableLanes>(c, begin, end, channels, window_stride, windows, products);
}
T3D_TARGET_AVX2 void winograd_avx2(const FloatWinogradCall& c, int64_t begin, int64_t end, int64_t channels,
                                   int64_t window_stride, float* windows, float* products) {
  winograd_part<Avx2Lanes>(c, begin, end, channels, window_stride, windows, products);
}
T3D_TARGET_AVX512 void winograd_avx512(const FloatWinogradCall& c, int64_t begin, int64_t end,
                                       int64_t channels, int64_t window_stride, float* windows,
                                       float* products) {
  winograd_part<Avx512Lanes>(c, begin, end, channels, window_stride, windows, products);
}

}  // namespace

void float_winograd(const FloatWinogradCall& c) {
  const auto part = c.simd == Simd::Avx512 ? winograd_avx512
                    : c.simd == Simd::Avx2 ? winograd_avx2
                                           : winograd_portable;
  const int64_t channels = (c.n_in + kLine - 1) / kLine * kLine;
  const int64_t all = c.n_items * (c.height / kWinogradTile) * (c.width / kWinogradTile);
  const int64_t tile_bytes = kTaps * channels * static_cast<int64_t>(sizeof(float));
  const int64_t most = std::clamp(kWindowBytes / tile_bytes / 8 * 8, kLeastTiles, kMostTiles);
  const int64_t n_tasks = (all + most - 1) / most, tiles = std::min(most, (all + 7) / 8 * 8);
  // An odd number of cache lines, or the taps would share the sets of the cache.
  const int64_t window_stride = tiles * channels + kLine, columns = 3 * c.panels->vector;
#pragma omp parallel if (n_tasks > 1)
  {
    const Aligned<float> windows(kTaps * window_stride), products(kTaps * (tiles * columns + kLine));
    std::fill_n(windows.data(), kTaps * window_stride, 0.f);
#pragma omp for schedule(dynamic)
    for (int64_t task = 0; task < n_tasks; ++task)
      part(c, task * tiles, std::min((task + 1) * tiles, all), channels, window_stride, windows.data(),
           products.data());
  }
}

}  // namespace t3d::ops::cpu
