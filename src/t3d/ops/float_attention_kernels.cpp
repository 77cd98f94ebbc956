#include "t3d/ops/float_attention_kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "t3d/ops/aligned.h"
#include "t3d/ops/float_lanes.h"

namespace t3d::ops::cpu {
namespace {

constexpr int64_t kRows = 64;   // of scores in one block
constexpr int64_t kKeys = 256;  // columns of scores in one block, which takes 64 KiB
// From row to row: an odd number of cache lines, or the rows would fall into a few sets of the first cache.
constexpr int64_t kScoreStride = kKeys + 16;
constexpr int64_t kMostSplits = 4;  // pieces of a head's rows whose gradients to k and v are summed apart
constexpr float kLowest = -1e30f;   // this file is compiled without infinities
constexpr float kLog2E = 1.44269504f;

template <class Lanes>
constexpr int64_t kPanel = 2 * kLanes<Lanes>;  // columns of a right factor

constexpr int64_t rounded_up(int64_t n, int64_t unit) {
  return (n + unit - 1) / unit * unit;
}

/// Rows of x as a right factor: to[panel][row][i] = x[row][kPanel panel + i], zeros beyond x.
template <class Lanes>
T3D_INLINE void pack_panels(const float* x, int64_t stride, int64_t n_rows, int64_t width, float* to) {
  constexpr int64_t P = kPanel<Lanes>;
  const int64_t padded = rounded_up(n_rows, P);
  for (int64_t c = 0; c < width; c += P, to += padded * P) {
    const int64_t n = std::min(P, width - c);
    for (int64_t row = 0; row < padded; ++row)
      for (int64_t i = 0; i < P; ++i) to[row * P + i] = row < n_rows && i < n ? x[row * stride + c + i] : 0.f;
  }
}

/// Its transpose as a right factor: to[panel][c][i] = x[kPanel panel + i][c].
template <class Lanes>
T3D_INLINE void pack_transposed_panels(const float* x, int64_t stride, int64_t n_rows, int64_t width,
                                       float* to) {
  constexpr int64_t P = kPanel<Lanes>;
  for (int64_t row = 0; row < n_rows; row += P, to += width * P) {
    const int64_t n = std::min(P, n_rows - row);
    for (int64_t c = 0; c < width; ++c)
      for (int64_t i = 0; i < P; ++i) to[c * P + i] = i < n ? x[(row + i) * stride + c] : 0.f;
  }
}

/// out[row][0 .. kPanel) = (or += where `add`) the product of n_rows rows, a multiple of the tile's, with a
/// panel; left[row][k] at row row_stride + k depth_stride.
template <class Lanes>
T3D_INLINE void times_panel(const float* left, int64_t row_stride, int64_t depth_stride, int64_t n_rows,
                            int64_t n, const float* panel, int64_t panel_stride, float* out,
                            int64_t out_stride, bool add) {
  using V = typename Lanes::V;
  constexpr int R = Lanes::kTile;
  constexpr int64_t kWidth = kLanes<Lanes>;
  for (int64_t row = 0; row < n_rows; row += R, left += R * row_stride, out += R * out_stride) {
    V total[R][2];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) total[r][v] = add ? load_lanes<V>(out + r * out_stride + v * kWidth) : V{};
    multiply_block(total, left, row_stride, depth_stride, n, panel, panel_stride);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) store_lanes(out + r * out_stride + v * kWidth, total[r][v]);
  }
}

/// to[row][0 .. padded) = x[row] times factor, zeros behind the columns and below the rows of a block.
void copy_block(const float* x, int64_t stride, int64_t n_rows, int64_t width, float factor, int64_t padded,
                float* to) {
  for (int64_t r = 0; r < kRows; ++r, to += padded) {
    if (r < n_rows)
      for (int64_t i = 0; i < width; ++i) to[i] = x[r * stride + i] * factor;
    const int64_t used = r < n_rows ? width : 0;
    std::memset(to + used, 0, (padded - used) * sizeof(float));
  }
}

template <class V>
T3D_INLINE float sum_of_lanes(const V& v) {
  float sum = 0;
  for (size_t i = 0; i < sizeof(V) / sizeof(float); ++i) sum += v[i];
  return sum;
}
template <class V>
T3D_INLINE float largest_of_lanes(const V& v) {
  float most = v[0];
  for (size_t i = 1; i < sizeof(V) / sizeof(float); ++i) most = std::max(most, v[i]);
  return most;
}

/// The factors of one head, packed once for all blocks of rows.
struct PackedHead {
  float *keys_t, *values;   // of scores, and of the result
  float *keys, *values_t;   // of the gradients with respect to q, and to scores
};

/// What one thread works in.
template <class Lanes>
struct Blocks {
  explicit Blocks(const FloatAttentionCall& c, bool with_gradients)
      : wide(rounded_up(c.width, kPanel<Lanes>)),
        value_wide(rounded_up(c.value_width, kPanel<Lanes>)),
        q(kRows * wide),
        scores(kRows * kScoreStride),
        sums(kRows * value_wide),
        d_out(with_gradients ? kRows * value_wide : 0),
        d_scores(with_gradients ? kRows * kScoreStride : 0),
        d_q(with_gradients ? kRows * wide : 0) {}
  int64_t wide, value_wide;
  Aligned<float> q, scores, sums;  // [64][D padded], [64][kScoreStride], [64][E padded]
  Aligned<float> d_out, d_scores, d_q;
  float highest[kRows], total[kRows];
};

/// Scores of one row, of which n count, to exponentials relative to the highest so far; zeros up to n_padded.
/// Returns the factor by which what was summed before has to shrink.
template <class Lanes>
T3D_INLINE float soften_row(float* scores, int64_t n, int64_t n_padded, float* highest, float* total) {
  using V = typename Lanes::V;
  constexpr int64_t kWidth = kLanes<Lanes>;
  std::fill(scores + n, scores + n_padded, kLowest);
  V top = V{} + kLowest;
  for (int64_t i = 0; i < n_padded; i += kWidth) {
    const V s = load_lanes<V>(scores + i);
    top = s > top ? s : top;
  }
  const float before = *highest, now = std::max(before, largest_of_lanes(top));
  V sum = {};
  for (int64_t i = 0; i < n_padded; i += kWidth) {
    // A row that sees nothing here keeps zeros.
    const V w = exp2_of_negative_lanes<Lanes>(load_lanes<V>(scores + i) - now);
    sum += w;
    store_lanes(scores + i, w);
  }
  if (n == 0) std::fill(scores, scores + n_padded, 0.f);
  const float shrink = std::exp2(std::max(before - now, -200.f));
  *highest = now;
  *total = *total * shrink + (n == 0 ? 0.f : sum_of_lanes(sum));
  return shrink;
}

template <class Lanes>
T3D_INLINE void attend_rows(const FloatAttentionCall& c, int64_t head, const PackedHead& packed, int64_t first,
                            Blocks<Lanes>& b) {
  constexpr int64_t P = kPanel<Lanes>;
  const int64_t item = head / c.n_heads, h = head % c.n_heads, n_rows = std::min(kRows, c.n_rows - first);
  const int64_t tiles = rounded_up(n_rows, Lanes::kTile), all_keys = rounded_up(c.n_columns, P);
  copy_block(c.q + item * c.q_at.item + h * c.q_at.head + first * c.q_at.row, c.q_at.row, n_rows, c.width,
             kLog2E / std::sqrt(static_cast<float>(c.width)), b.wide, b.q.data());
  std::fill_n(b.highest, kRows, kLowest);
  std::fill_n(b.total, kRows, 0.f);
  const int64_t n_seen = c.causal ? std::min(c.n_columns, first + n_rows) : c.n_columns;
  for (int64_t key = 0; key < n_seen; key += kKeys) {
    const int64_t n = std::min(kKeys, n_seen - key), n_padded = rounded_up(n, P);
    for (int64_t i = 0; i < n_padded; i += P)
      times_panel<Lanes>(b.q.data(), b.wide, 1, tiles, c.width, packed.keys_t + (key + i) * c.width, P,
                         b.scores.data() + i, kScoreStride, false);
    for (int64_t r = 0; r < n_rows; ++r) {
      const int64_t counted = c.causal ? std::clamp<int64_t>(first + r + 1 - key, 0, n) : n;
      const float shrink = soften_row<Lanes>(b.scores.data() + r * kScoreStride, counted, n_padded,
                                             b.highest + r, b.total + r);
      if (key == 0 || shrink == 1.f) continue;
      float* sum = b.sums.data() + r * b.value_wide;
      for (int64_t e = 0; e < b.value_wide; ++e) sum[e] *= shrink;
    }
    for (int64_t e = 0; e < b.value_wide; e += P)
      times_panel<Lanes>(b.scores.data(), kScoreStride, 1, tiles, n_padded,
                         packed.values + e * all_keys + key * P, P, b.sums.data() + e, b.value_wide, key > 0);
  }
  float* out = c.out + item * c.out_at.item + h * c.out_at.head + first * c.out_at.row;
  for (int64_t r = 0; r < n_rows; ++r, out += c.out_at.row) {
    const float factor = 1 / b.total[r], *sum = b.sums.data() + r * b.value_wide;
    for (int64_t e = 0; e < c.value_width; ++e) out[e] = sum[e] * factor;
    if (c.log_sums != nullptr)
      c.log_sums[head * c.n_rows + first + r] = b.highest[r] + std::log2(b.total[r]);
  }
}

/// weights = exp2(scores - log_sum), d_scores = weights (d_weights - inner), zeros from n on.
template <class Lanes>
T3D_INLINE void differentiate_row(float* scores, float* d_scores, int64_t n, int64_t n_padded, float log_sum,
                                  float inner) {
  using V = typename Lanes::V;
  std::fill(scores + n, scores + n_padded, kLowest);
  for (int64_t i = 0; i < n_padded; i += kLanes<Lanes>) {
    const V w = exp2_of_negative_lanes<Lanes>(load_lanes<V>(scores + i) - log_sum);
    store_lanes(scores + i, w);
    store_lanes(d_scores + i, V(w * (load_lanes<V>(d_scores + i) - inner)));
  }
}

/// One block of rows: its gradient to q, and what it adds to those to k and v, [keys padded][wide].
template <class Lanes>
T3D_INLINE void differentiate_rows(const FloatAttentionAdjointCall& g, int64_t head, const PackedHead& packed,
                                   int64_t first, float* d_k, float* d_v, Blocks<Lanes>& b) {
  constexpr int64_t P = kPanel<Lanes>;
  const FloatAttentionCall& c = g.forward;
  const int64_t item = head / c.n_heads, h = head % c.n_heads, n_rows = std::min(kRows, c.n_rows - first);
  const int64_t tiles = rounded_up(n_rows, Lanes::kTile), all_keys = rounded_up(c.n_columns, P);
  const float scale = 1 / std::sqrt(static_cast<float>(c.width));
  copy_block(c.q + item * c.q_at.item + h * c.q_at.head + first * c.q_at.row, c.q_at.row, n_rows, c.width,
             kLog2E * scale, b.wide, b.q.data());
  copy_block(g.d_out + item * g.d_out_at.item + h * g.d_out_at.head + first * g.d_out_at.row, g.d_out_at.row,
             n_rows, c.value_width, 1, b.value_wide, b.d_out.data());
  float log_sum[kRows], inner[kRows];
  for (int64_t r = 0; r < kRows; ++r) {
    log_sum[r] = r < n_rows ? c.log_sums[head * c.n_rows + first + r] : -kLowest;  // no weight at all
    inner[r] = 0;
    if (r >= n_rows) continue;
    const float* out = c.out + item * c.out_at.item + h * c.out_at.head + (first + r) * c.out_at.row;
    for (int64_t e = 0; e < c.value_width; ++e) inner[r] += out[e] * b.d_out.data()[r * b.value_wide + e];
  }
  const int64_t n_seen = c.causal ? std::min(c.n_columns, first + n_rows) : c.n_columns;
  for (int64_t key = 0; key < n_seen; key += kKeys) {
    const int64_t n = std::min(kKeys, n_seen - key), n_padded = rounded_up(n, P);
    for (int64_t i = 0; i < n_padded; i += P) {
      times_panel<Lanes>(b.q.data(), b.wide, 1, tiles, c.width, packed.keys_t + (key + i) * c.width, P,
                         b.scores.data() + i, kScoreStride, false);
      times_panel<Lanes>(b.d_out.data(), b.value_wide, 1, tiles, c.value_width,
                         packed.values_t + (key + i) * c.value_width, P, b.d_scores.data() + i, kScoreStride,
                         false);
    }
    for (int64_t r = 0; r < tiles; ++r) {
      const int64_t counted = c.causal ? std::clamp<int64_t>(first + r + 1 - key, 0, n) : n;
      differentiate_row<Lanes>(b.scores.data() + r * kScoreStride, b.d_scores.data() + r * kScoreStride,
                               counted, n_padded, log_sum[r], inner[r]);
    }
    for (int64_t e = 0; e < b.value_wide; e += P)
      times_panel<Lanes>(b.scores.data(), 1, kScoreStride, n_padded, tiles, b.d_out.data() + e, b.value_wide,
                         d_v + key * b.value_wide + e, b.value_wide, true);
    for (int64_t d = 0; d < b.wide; d += P) {
      times_panel<Lanes>(b.d_scores.data(), 1, kScoreStride, n_padded, tiles, b.q.data() + d, b.wide,
                         d_k + key * b.wide + d, b.wide, true);
      times_panel<Lanes>(b.d_scores.data(), kScoreStride, 1, tiles, n_padded,
                         packed.keys + d * all_keys + key * P, P, b.d_q.data() + d, b.wide, key > 0);
    }
  }
  float* d_q = g.d_q + item * g.d_q_at.item + h * g.d_q_at.head + first * g.d_q_at.row;
  for (int64_t r = 0; r < n_rows; ++r, d_q += g.d_q_at.row)
    for (int64_t i = 0; i < c.width; ++i) d_q[i] = b.d_q.data()[r * b.wide + i] * scale;
}

template <class Lanes>
T3D_INLINE void pack_head(const FloatAttentionCall& c, int64_t head, const PackedHead& packed) {
  const int64_t item = head / c.n_heads, h = head % c.n_heads;
  const float* const k = c.k + item * c.k_at.item + h * c.k_at.head;
  const float* const v = c.v + item * c.v_at.item + h * c.v_at.head;
  pack_transposed_panels<Lanes>(k, c.k_at.row, c.n_columns, c.width, packed.keys_t);
  if (packed.values != nullptr)
    pack_panels<Lanes>(v, c.v_at.row, c.n_columns, c.value_width, packed.values);
  if (packed.keys == nullptr) return;
  pack_panels<Lanes>(k, c.k_at.row, c.n_columns, c.width, packed.keys);
  pack_transposed_panels<Lanes>(v, c.v_at.row, c.n_columns, c.value_width, packed.values_t);
}

/// For one instruction set.
struct Kernels {
  int64_t panel;
  void (*pack)(const FloatAttentionCall& c, int64_t head, const PackedHead& packed);
  void (*attend)(const FloatAttentionCall& c, int64_t head, const PackedHead& packed, int64_t begin,
                 int64_t end);
  void (*differentiate)(const FloatAttentionAdjointCall& g, int64_t head, const PackedHead& packed,
                        int64_t begin, int64_t end, float* d_k, float* d_v);
};

template <class Lanes>
T3D_INLINE void attend_blocks(const FloatAttentionCall& c, int64_t head, const PackedHead& packed,
                              int64_t begin, int64_t end) {
  Blocks<Lanes> blocks(c, false);
  for (int64_t row = begin; row < end; row += kRows) attend_rows<Lanes>(c, head, packed, row, blocks);
}
template <class Lanes>
T3D_INLINE void differentiate_blocks(const FloatAttentionAdjointCall& g, int64_t head,
                                     const PackedHead& packed, int64_t begin, int64_t end, float* d_k,
                                     float* d_v) {
  Blocks<Lanes> blocks(g.forward, true);
  for (int64_t row = begin; row < end; row += kRows)
    differentiate_rows<Lanes>(g, head, packed, row, d_k, d_v, blocks);
}

#define T3D_FLOAT_ATTENTION(NAME, TARGET, LANES)                                                           \
  TARGET void pack_##NAME(const FloatAttentionCall& c, int64_t head, const PackedHead& packed) {           \
    pack_head<LANES>(c, head, packed);                                                                     \
  }                                                                                                        \
  TARGET void attend_##NAME(const FloatAttentionCall& c, int64_t head, const PackedHead& packed,           \
                            int64_t begin, int64_t end) {                                                  \
    attend_blocks<LANES>(c, head, packed, begin, end);                                                     \
  }                                                                                                        \
  TARGET void differentiate_##NAME(const FloatAttentionAdjointCall& g, int64_t head,                       \
                                   const PackedHead& packed, int64_t begin, int64_t end, float* d_k,       \
                                   float* d_v) {                                                           \
    differentiate_blocks<LANES>(g, head, packed, begin, end, d_k, d_v);                                    \
  }                                                                                                        \
  constexpr Kernels kKernels_##NAME{kPanel<LANES>, pack_##NAME, attend_##NAME, differentiate_##NAME}

T3D_FLOAT_ATTENTION(portable, , PortableLanes);
T3D_FLOAT_ATTENTION(avx2, T3D_TARGET_AVX2, Avx2Lanes);
T3D_FLOAT_ATTENTION(avx512, T3D_TARGET_AVX512, Avx512Lanes);

const Kernels& kernels() {
  return simd() == Simd::Avx512 ? kKernels_avx512 : simd() == Simd::Avx2 ? kKernels_avx2 : kKernels_portable;
}

}  // namespace

void float_attention(const FloatAttentionCall& c) {
  const Kernels& kernel = kernels();
  const int64_t n_heads = c.n_items * c.n_heads, keys = rounded_up(c.n_columns, kernel.panel),
                value_size = keys * rounded_up(c.value_width, kernel.panel);
  const Aligned<float> keys_t(n_heads * keys * c.width), values(n_heads * value_size);
  const auto packed = [&](int64_t head) {
    return PackedHead{keys_t.data() + head * keys * c.width, values.data() + head * value_size, nullptr,
                      nullptr};
  };
  constexpr int64_t kRun = 2 * kRows;  // rows handed out together
  const int64_t runs = (c.n_rows + kRun - 1) / kRun;
#pragma omp parallel if (n_heads * runs > 1)
  {
#pragma omp for schedule(static)
    for (int64_t head = 0; head < n_heads; ++head) kernel.pack(c, head, packed(head));
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < n_heads * runs; ++i)
      kernel.attend(c, i / runs, packed(i / runs), i % runs * kRun, std::min((i % runs + 1) * kRun, c.n_rows));
  }
}

void float_attention_adjoint(const FloatAttentionAdjointCall& g) {
  const Kernels& kernel = kernels();
  const FloatAttentionCall& c = g.forward;
  const int64_t n_heads = c.n_items * c.n_heads, keys = rounded_up(c.n_columns, kernel.panel),
                wide = rounded_up(c.width, kernel.panel), value_wide = rounded_up(c.value_width, kernel.panel);
  const Aligned<float> keys_t(n_heads * keys * c.width), values_t(n_heads * keys * c.value_width),
      all_keys(n_heads * keys * wide);
  const auto packed = [&](int64_t head) {
    return PackedHead{keys_t.data() + head * keys * c.width, nullptr, all_keys.data() + head * keys * wide,
                      values_t.data() + head * keys * c.value_width};
  };
  // As many pieces for any number of threads, so that their sums are the same.
  const int64_t n_blocks = (c.n_rows + kRows - 1) / kRows, splits = std::min(n_blocks, kMostSplits);
  const Aligned<float> d_keys(n_heads * splits * keys * wide), d_values(n_heads * splits * keys * value_wide);
#pragma omp parallel if (n_heads * splits > 1)
  {
#pragma omp for schedule(static)
    for (int64_t head = 0; head < n_heads; ++head) kernel.pack(c, head, packed(head));
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < n_heads * splits; ++i) {
      float *d_k = d_keys.data() + i * keys * wide, *d_v = d_values.data() + i * keys * value_wide;
      std::fill_n(d_k, keys * wide, 0.f);
      std::fill_n(d_v, keys * value_wide, 0.f);
      const int64_t split = i % splits, begin = split * n_blocks / splits * kRows,
                    end = std::min((split + 1) * n_blocks / splits * kRows, c.n_rows);
      kernel.differentiate(g, i / splits, packed(i / splits), begin, end, d_k, d_v);
    }
#pragma omp for schedule(static)
    for (int64_t i = 0; i < n_heads * c.n_columns; ++i) {
      const int64_t head = i / c.n_columns, row = i % c.n_columns, item = head / c.n_heads,
                    h = head % c.n_heads;
      const auto add_up = [&](const Aligned<float>& parts, int64_t padded, int64_t width, float factor,
                              float* to) {
        for (int64_t column = 0; column < width; ++column) {
          float sum = 0;
          for (int64_t split = 0; split < splits; ++split)
            sum += parts.data()[((head * splits + split) * keys + row) * padded + column];
          to[column] = sum * factor;
        }
      };
      // What d_scores were multiplied by was in units of ln 2.
      add_up(d_keys, wide, c.width, 1 / kLog2E,
             g.d_k + item * g.d_k_at.item + h * g.d_k_at.head + row * g.d_k_at.row);
      add_up(d_values, value_wide, c.value_width, 1,
             g.d_v + item * g.d_v_at.item + h * g.d_v_at.head + row * g.d_v_at.row);
    }
  }
}

}  // namespace t3d::ops::cpu
