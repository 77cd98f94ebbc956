#include "t3d/ops/attention_kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "t3d/core/error.h"
#include "t3d/ops/aligned.h"
#include "t3d/ops/matrix_pack.h"

namespace t3d::ops::cpu {

#ifdef T3D_HAS_MATRIX_BLOCK
namespace {

constexpr int64_t kColumns = 512;  // scores of one block: 64 KiB with its 32 rows
// From row to row: an odd number of cache lines, or the rows would fall into a few sets of the first cache.
constexpr int64_t kScoreStride = kColumns + 16, kWeightStride = kColumns + 32;
constexpr float kLowest = -1e30f;  // this file is compiled without infinities
constexpr float kLog2E = 1.44269504f;

/// Values as the right factor of P v: packed[block of 32 columns of v][step of 32 keys].
T3D_TARGET_BF16 void pack_values(const Bf16* v, int64_t stride, int64_t n_keys, int64_t width, Bf16* packed) {
  const __m512i low_order = _mm512_set_epi16(15, 47, 14, 46, 13, 45, 12, 44, 11, 43, 10, 42, 9, 41, 8, 40, 7,
                                             39, 6, 38, 5, 37, 4, 36, 3, 35, 2, 34, 1, 33, 0, 32);
  const __m512i high_order = _mm512_add_epi16(low_order, _mm512_set1_epi16(16));
  for (int64_t column = 0; column < width; column += kBlock)
    for (int64_t key = 0; key < n_keys; key += kBlock, packed += kStepSize)
      for (int64_t pair = 0; pair < 16; ++pair) {
        const int64_t row = key + 2 * pair;
        const auto at_row = [&](int64_t r) T3D_TARGET_BF16 {
          return r < n_keys ? load_row(v + r * stride + column, width - column) : _mm512_setzero_si512();
        };
        const __m512i even = at_row(row), odd = at_row(row + 1);
        _mm512_storeu_si512(packed + 32 * pair, _mm512_permutex2var_epi16(odd, low_order, even));
        _mm512_storeu_si512(packed + kTileSize + 32 * pair, _mm512_permutex2var_epi16(odd, high_order, even));
      }
}

/// What one thread works in.
struct Room {
  explicit Room(const AttentionCall& c)
      : wide(padded(c.width)),
        value_wide(padded(c.value_width)),
        q(kBlock * wide),
        weights(kBlock * kWeightStride),
        scores(kBlock * kScoreStride),
        sums(kBlock * value_wide) {}
  static int64_t padded(int64_t n) { return (n + kBlock - 1) / kBlock * kBlock; }

  int64_t wide, value_wide;
  Aligned<Bf16> q, weights;     // [32][D padded], [32][kWeightStride]
  Aligned<float> scores, sums;  // [32][kScoreStride], [32][E padded]
  float highest[kBlock], total[kBlock];
};

/// Scores of one row, of which n count, to weights relative to the highest so far; zeros up to n_padded.
/// Returns the factor by which what was summed before has to shrink.
T3D_BF16_INLINE float soften(const float* scores, int64_t n, int64_t n_padded, float scale, float* highest,
                             float* total, Bf16* weights) {
  const int64_t whole = n / kBlock * kBlock;
  const __mmask16 low = first_of_16(n - whole), high = first_of_16(n - whole - 16);
  __m512 top_0 = _mm512_set1_ps(kLowest), top_1 = top_0, top_2 = top_0, top_3 = top_0;
  int64_t i = 0;
  for (; i + 2 * kBlock <= whole; i += 2 * kBlock) {
    top_0 = _mm512_max_ps(top_0, _mm512_loadu_ps(scores + i));
    top_1 = _mm512_max_ps(top_1, _mm512_loadu_ps(scores + i + 16));
    top_2 = _mm512_max_ps(top_2, _mm512_loadu_ps(scores + i + 32));
    top_3 = _mm512_max_ps(top_3, _mm512_loadu_ps(scores + i + 48));
  }
  for (; i < whole; i += kBlock) {
    top_0 = _mm512_max_ps(top_0, _mm512_loadu_ps(scores + i));
    top_1 = _mm512_max_ps(top_1, _mm512_loadu_ps(scores + i + 16));
  }
  top_2 = _mm512_mask_max_ps(top_2, low, top_2, _mm512_maskz_loadu_ps(low, scores + whole));
  top_3 = _mm512_mask_max_ps(top_3, high, top_3, _mm512_maskz_loadu_ps(high, scores + whole + 16));
  const __m512 top = _mm512_max_ps(_mm512_max_ps(top_0, top_1), _mm512_max_ps(top_2, top_3));
  const float before = *highest, now = std::max(before, _mm512_reduce_max_ps(top) * scale);
  const __m512 factor = _mm512_set1_ps(scale), shift = _mm512_set1_ps(-now);
  __m512 sum_0 = _mm512_setzero_ps(), sum_1 = sum_0;
  for (i = 0; i < whole; i += kBlock) {
    const __m512 w0 = exp2_of_negative(_mm512_fmadd_ps(_mm512_loadu_ps(scores + i), factor, shift));
    const __m512 w1 = exp2_of_negative(_mm512_fmadd_ps(_mm512_loadu_ps(scores + i + 16), factor, shift));
    sum_0 = _mm512_add_ps(sum_0, w0);
    sum_1 = _mm512_add_ps(sum_1, w1);
    _mm512_storeu_si512(weights + i, (__m512i)_mm512_cvtne2ps_pbh(w1, w0));
  }
  if (i < n) {
    const __m512 w0 = _mm512_maskz_mov_ps(
        low, exp2_of_negative(_mm512_fmadd_ps(_mm512_maskz_loadu_ps(low, scores + i), factor, shift)));
    const __m512 w1 = _mm512_maskz_mov_ps(
        high, exp2_of_negative(_mm512_fmadd_ps(_mm512_maskz_loadu_ps(high, scores + i + 16), factor, shift)));
    sum_0 = _mm512_add_ps(sum_0, w0);
    sum_1 = _mm512_add_ps(sum_1, w1);
    _mm512_storeu_si512(weights + i, (__m512i)_mm512_cvtne2ps_pbh(w1, w0));
    i += kBlock;
  }
  for (; i < n_padded; i += kBlock) _mm512_storeu_si512(weights + i, _mm512_setzero_si512());
  const float shrink = std::exp2(std::max(before - now, -200.f));
  *highest = now;
  *total = *total * shrink + _mm512_reduce_add_ps(_mm512_add_ps(sum_0, sum_1));
  return shrink;
}

/// Rows first .. first + 31 of one head.
template <class Unit>
T3D_BF16_INLINE void attend(const AttentionCall& c, const Bf16* q, const Bf16* keys, const Bf16* values,
                            Bf16* out, int64_t first, Room& room) {
  const int64_t n_rows = std::min(kBlock, c.n_rows - first);
  const int64_t q_steps = room.wide / kBlock, all_steps = (c.n_columns + kBlock - 1) / kBlock;
  const float scale = kLog2E / std::sqrt(static_cast<float>(c.width));
  LeftRows left{q, q + 16 * c.q_at.row, c.q_at.row};
  if (n_rows < kBlock || room.wide != c.width) {
    std::memset(room.q.data(), 0, kBlock * room.wide * sizeof(Bf16));
    for (int64_t r = 0; r < n_rows; ++r)
      std::memcpy(room.q.data() + r * room.wide, q + r * c.q_at.row, c.width * sizeof(Bf16));
    left = {room.q.data(), room.q.data() + 16 * room.wide, room.wide};
  }
  std::fill_n(room.highest, kBlock, kLowest);
  std::fill_n(room.total, kBlock, 0.f);
  const int64_t n_seen = c.causal ? std::min(c.n_columns, first + n_rows) : c.n_columns;
  for (int64_t column = 0; column < n_seen; column += kColumns) {
    const int64_t n = std::min(kColumns, n_seen - column), n_padded = Room::padded(n);
    for (int64_t block = 0; block < n_padded; block += kBlock)
      Unit::multiply(left, keys + (column + block) / kBlock * q_steps * kStepSize, q_steps,
                     room.scores.data() + block, kScoreStride, false);
    for (int64_t r = 0; r < n_rows; ++r) {
      const int64_t counted = c.causal ? std::clamp<int64_t>(first + r + 1 - column, 0, n) : n;
      const float shrink = soften(room.scores.data() + r * kScoreStride, counted, n_padded, scale,
                                  room.highest + r, room.total + r, room.weights.data() + r * kWeightStride);
      if (column == 0 || shrink == 1.f) continue;
      float* sum = room.sums.data() + r * room.value_wide;
      for (int64_t e = 0; e < room.value_wide; ++e) sum[e] *= shrink;
    }
    const LeftRows weights{room.weights.data(), room.weights.data() + 16 * kWeightStride, kWeightStride};
    for (int64_t e = 0; e < room.value_wide; e += kBlock)
      Unit::multiply(weights, values + (e / kBlock * all_steps + column / kBlock) * kStepSize,
                     n_padded / kBlock, room.sums.data() + e, room.value_wide, column > 0);
  }
  for (int64_t r = 0; r < n_rows; ++r, out += c.out_at.row) {
    const __m512 factor = _mm512_set1_ps(1 / room.total[r]);
    const float* sum = room.sums.data() + r * room.value_wide;
    int64_t e = 0;
    for (; e + 16 <= c.value_width; e += 16)
      store_bf16(out + e, _mm512_mul_ps(_mm512_loadu_ps(sum + e), factor));
    if (e < c.value_width)
      store_bf16(out + e, _mm512_mul_ps(_mm512_loadu_ps(sum + e), factor), first_of_16(c.value_width - e));
  }
}

template <class Unit>
T3D_BF16_INLINE void attend_run(const AttentionCall& c, const Bf16* keys, const Bf16* values, int64_t begin,
                                int64_t end, Room& room) {
  const int64_t blocks = (c.n_rows + kBlock - 1) / kBlock;
  const int64_t steps = (c.n_columns + kBlock - 1) / kBlock * kStepSize / kBlock;
  Unit::begin();
  for (int64_t i = begin; i < end; ++i) {
    const int64_t head = i / blocks, first = i % blocks * kBlock;
    const int64_t item = head / c.n_heads, h = head % c.n_heads;
    attend<Unit>(c, c.q + item * c.q_at.item + h * c.q_at.head + first * c.q_at.row,
                 keys + head * steps * room.wide, values + head * steps * room.value_wide,
                 c.out + item * c.out_at.item + h * c.out_at.head + first * c.out_at.row, first, room);
  }
  Unit::end();
}

T3D_TARGET_BF16 void attend_amx(const AttentionCall& c, const Bf16* keys, const Bf16* values, int64_t begin,
                                int64_t end, Room& room) {
  attend_run<AmxTiles>(c, keys, values, begin, end, room);
}
T3D_TARGET_BF16 void attend_avx512(const AttentionCall& c, const Bf16* keys, const Bf16* values,
                                   int64_t begin, int64_t end, Room& room) {
  attend_run<Avx512Bf16>(c, keys, values, begin, end, room);
}

}  // namespace

void attention(const AttentionCall& c) {
  T3D_CHECK(matrix_unit() != MatrixUnit::None, "no matrix unit for bfloat16 attention");
  const int64_t n_heads = c.n_items * c.n_heads,
                steps = (c.n_columns + kBlock - 1) / kBlock * kStepSize / kBlock;
  const int64_t wide = Room::padded(c.width), value_wide = Room::padded(c.value_width);
  const Aligned<Bf16> keys(n_heads * steps * wide), values(n_heads * steps * value_wide);
  const auto run = matrix_unit() == MatrixUnit::Amx ? attend_amx : attend_avx512;
  const int64_t n_tasks = n_heads * ((c.n_rows + kBlock - 1) / kBlock);
  constexpr int64_t kRun = 4;  // tasks handed out together
#pragma omp parallel if (n_tasks > 1)
  {
#pragma omp for schedule(static)
    for (int64_t i = 0; i < n_heads; ++i) {
      const int64_t item = i / c.n_heads, head = i % c.n_heads;
      pack_transposed(c.k + item * c.k_at.item + head * c.k_at.head, c.k_at.row, c.n_columns, c.width,
                      keys.data() + i * steps * wide);
      pack_values(c.v + item * c.v_at.item + head * c.v_at.head, c.v_at.row, c.n_columns, c.value_width,
                  values.data() + i * steps * value_wide);
    }
    Room room(c);
#pragma omp for schedule(dynamic)
    for (int64_t i = 0; i < n_tasks; i += kRun)
      run(c, keys.data(), values.data(), i, std::min(i + kRun, n_tasks), room);
  }
}

#else

void attention(const AttentionCall&) {
  T3D_CHECK(false, "no matrix unit for bfloat16 attention");
}

#endif

}  // namespace t3d::ops::cpu
