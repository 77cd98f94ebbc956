#include "t3d/ops/norm_kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "t3d/core/error.h"
#include "t3d/ops/matrix_block.h"

namespace t3d::ops::cpu {
namespace {

/// Where the pixels of a bordered picture lie.
struct Frame {
  int64_t height, width, border, channels;
  int64_t row() const { return (width + 2 * border) * channels; }
  int64_t item() const { return (height + 2 * border) * row(); }
  int64_t pixel(int64_t y, int64_t x) const { return (y + border) * row() + (x + border) * channels; }
};

/// Zeros along the edges of one item.
void clear_edges(const Frame& f, uint16_t* item) {
  if (f.border == 0) return;
  const auto clear = [](uint16_t* at, int64_t n) { std::memset(at, 0, n * sizeof(uint16_t)); };
  clear(item, f.border * f.row());
  clear(item + (f.height + f.border) * f.row(), f.border * f.row());
  for (int64_t y = 0; y < f.height; ++y) {
    clear(item + (y + f.border) * f.row(), f.border * f.channels);
    clear(item + f.pixel(y, f.width), f.border * f.channels);
  }
}

}  // namespace

void add_border(const uint16_t* x, int64_t n_items, int64_t height, int64_t width, int64_t n_channels,
                int64_t border, int64_t out_channels, uint16_t* out) {
  const Frame frame{height, width, border, out_channels};
#pragma omp parallel if (n_items * height * width * n_channels > (1 << 16))
  {
#pragma omp for schedule(static)
    for (int64_t i = 0; i < n_items; ++i) clear_edges(frame, out + i * frame.item());
#pragma omp for schedule(static)
    for (int64_t i = 0; i < n_items * height; ++i) {
      const uint16_t* from = x + i * width * n_channels;
      uint16_t* to = out + i / height * frame.item() + frame.pixel(i % height, 0);
      if (out_channels == n_channels) {
        std::memcpy(to, from, width * n_channels * sizeof(uint16_t));
        continue;
      }
      for (int64_t p = 0; p < width; ++p, from += n_channels, to += out_channels) {
        std::memcpy(to, from, n_channels * sizeof(uint16_t));
        std::memset(to + n_channels, 0, (out_channels - n_channels) * sizeof(uint16_t));
      }
    }
  }
}

#ifdef T3D_HAS_MATRIX_BLOCK
namespace {

constexpr int64_t kMostChunks = 32;  // pieces of one picture that are summed apart

/// sums[c], squares[c] over n_pixels of x - shift, for channels in runs of up to 64.
T3D_TARGET_BF16 void add_up(const Bf16* x, int64_t n_pixels, int64_t n_channels, const Bf16* shift,
                            float* sums, float* squares) {
  for (int64_t c = 0; c < n_channels; c += 64) {
    const int64_t vectors = std::min<int64_t>(4, (n_channels - c + 15) / 16);
    __mmask16 mask[4];
    __m512 base[4], sum[4], square[4];
    for (int64_t v = 0; v < 4; ++v) {
      mask[v] = first_of_16(n_channels - c - 16 * v);
      base[v] = load_bf16(shift + c + 16 * v, mask[v]);
      sum[v] = square[v] = _mm512_setzero_ps();
    }
    const Bf16* from = x + c;
    if (vectors == 4 && n_channels - c >= 64) {
      for (int64_t p = 0; p < n_pixels; ++p, from += n_channels)
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) {
          const __m512 d = _mm512_sub_ps(load_bf16(from + 16 * v), base[v]);
          sum[v] = _mm512_add_ps(sum[v], d);
          square[v] = _mm512_fmadd_ps(d, d, square[v]);
        }
    } else {
      for (int64_t p = 0; p < n_pixels; ++p, from += n_channels)
        for (int64_t v = 0; v < vectors; ++v) {
          const __m512 d = _mm512_sub_ps(load_bf16(from + 16 * v, mask[v]), base[v]);
          sum[v] = _mm512_add_ps(sum[v], d);
          square[v] = _mm512_fmadd_ps(d, d, square[v]);
        }
    }
    for (int64_t v = 0; v < vectors; ++v) {
      _mm512_mask_storeu_ps(sums + c + 16 * v, mask[v], sum[v]);
      _mm512_mask_storeu_ps(squares + c + 16 * v, mask[v], square[v]);
    }
  }
}

/// y = x factor + offset for every channel, and its SiLU where wanted.
template <bool with_silu>
T3D_BF16_INLINE void apply_pixel(const Bf16* x, int64_t n_channels, const float* factor, const float* offset,
                                 Bf16* y) {
  for (int64_t c = 0; c < n_channels; c += 16) {
    const __mmask16 mask = first_of_16(n_channels - c);
    const __m512 in = load_bf16(x + c, mask);
    __m512 z =
        _mm512_fmadd_ps(in, _mm512_maskz_loadu_ps(mask, factor + c), _mm512_maskz_loadu_ps(mask, offset + c));
    if (with_silu) {
      // z sigmoid(z) = z (z < 0 ? e : 1) / (1 + e) with e = exp(-|z|), which never overflows.
      const __m512 e = exp2_of_negative(_mm512_mul_ps(_mm512_abs_ps(z), _mm512_set1_ps(-1.44269504f)));
      const __m512 share = _mm512_rcp14_ps(_mm512_add_ps(_mm512_set1_ps(1.f), e));
      const __mmask16 negative = _mm512_cmp_ps_mask(z, _mm512_setzero_ps(), _CMP_LT_OQ);
      z = _mm512_mul_ps(z, _mm512_mask_mul_ps(share, negative, share, e));
    }
    store_bf16(y + c, z, mask);
  }
}

T3D_TARGET_BF16 void apply_row(const Bf16* x, int64_t n_pixels, int64_t n_channels, const float* factor,
                               const float* offset, bool with_silu, int64_t out_channels, Bf16* y) {
  for (int64_t p = 0; p < n_pixels; ++p, x += n_channels, y += out_channels) {
    if (with_silu)
      apply_pixel<true>(x, n_channels, factor, offset, y);
    else
      apply_pixel<false>(x, n_channels, factor, offset, y);
    if (out_channels > n_channels) std::memset(y + n_channels, 0, (out_channels - n_channels) * sizeof(Bf16));
  }
}

T3D_TARGET_BF16 void norm_row(const Bf16* x, int64_t n, const float* weight, const float* bias, float eps,
                              Bf16* out) {
  __m512 sum = _mm512_setzero_ps();
  for (int64_t i = 0; i < n; i += 16) sum = _mm512_add_ps(sum, load_bf16(x + i, first_of_16(n - i)));
  const float mean = _mm512_reduce_add_ps(sum) / static_cast<float>(n);
  const __m512 middle = _mm512_set1_ps(mean);
  __m512 square = _mm512_setzero_ps();
  for (int64_t i = 0; i < n; i += 16) {
    const __mmask16 mask = first_of_16(n - i);
    const __m512 d = _mm512_maskz_sub_ps(mask, load_bf16(x + i, mask), middle);
    square = _mm512_fmadd_ps(d, d, square);
  }
  const __m512 factor =
      _mm512_set1_ps(1 / std::sqrt(_mm512_reduce_add_ps(square) / static_cast<float>(n) + eps));
  for (int64_t i = 0; i < n; i += 16) {
    const __mmask16 mask = first_of_16(n - i);
    const __m512 d = _mm512_mul_ps(_mm512_sub_ps(load_bf16(x + i, mask), middle), factor);
    store_bf16(
        out + i,
        _mm512_fmadd_ps(d, _mm512_maskz_loadu_ps(mask, weight + i), _mm512_maskz_loadu_ps(mask, bias + i)),
        mask);
  }
}

/// Factor and offset of each channel of one item, from the chunks' sums.
void combine(const GroupNormCall& g, const Bf16* item, const float* partial, int64_t n_chunks, float* factor,
             float* offset) {
  const int64_t in_group = g.n_channels / g.n_groups, pixels = g.height * g.width;
  for (int64_t group = 0; group < g.n_groups; ++group) {
    // Every channel was summed as its difference to its first pixel; the means meet in double.
    double mean = 0;
    std::vector<double> channel_mean(in_group), deviation(in_group);
    for (int64_t i = 0; i < in_group; ++i) {
      const int64_t c = group * in_group + i;
      double sum = 0, square = 0;
      for (int64_t k = 0; k < n_chunks; ++k) {
        sum += partial[2 * k * g.n_channels + c];
        square += partial[(2 * k + 1) * g.n_channels + c];
      }
      const uint32_t bits = uint32_t{item[c]} << 16;
      float shift;
      std::memcpy(&shift, &bits, sizeof shift);
      const double difference = sum / static_cast<double>(pixels);
      channel_mean[i] = shift + difference;
      deviation[i] = square / static_cast<double>(pixels) - difference * difference;
      mean += channel_mean[i] / static_cast<double>(in_group);
    }
    double variance = 0;
    for (int64_t i = 0; i < in_group; ++i)
      variance += (deviation[i] + (channel_mean[i] - mean) * (channel_mean[i] - mean)) /
                  static_cast<double>(in_group);
    const double scale = 1 / std::sqrt(std::max(variance, 0.0) + static_cast<double>(g.eps));
    for (int64_t i = 0; i < in_group; ++i) {
      const int64_t c = group * in_group + i;
      factor[c] = static_cast<float>(scale * g.weight[c]);
      offset[c] = static_cast<float>(g.bias[c] - mean * scale * g.weight[c]);
    }
  }
}

}  // namespace

void group_norm(const GroupNormCall& g) {
  T3D_CHECK(matrix_unit() != MatrixUnit::None, "no matrix unit");
  const int64_t pixels = g.height * g.width, channels = g.n_channels;
  const int64_t chunk = std::max<int64_t>(8, (pixels + kMostChunks - 1) / kMostChunks);
  const int64_t n_chunks = (pixels + chunk - 1) / chunk;
  std::vector<float> partial(g.n_items * n_chunks * 2 * channels), factors(g.n_items * 2 * channels);
  const Frame frame{g.height, g.width, g.border, g.out_channels};
#pragma omp parallel if (g.n_items * pixels * channels > (1 << 14))
  {
#pragma omp for schedule(static)
    for (int64_t i = 0; i < g.n_items * n_chunks; ++i) {
      const Bf16* item = g.x + i / n_chunks * pixels * channels;
      const int64_t first = i % n_chunks * chunk;
      float* sums = partial.data() + i * 2 * channels;
      add_up(item + first * channels, std::min(chunk, pixels - first), channels, item, sums, sums + channels);
    }
#pragma omp for schedule(static)
    for (int64_t i = 0; i < g.n_items; ++i) {
      float* factor = factors.data() + i * 2 * channels;
      combine(g, g.x + i * pixels * channels, partial.data() + i * n_chunks * 2 * channels, n_chunks, factor,
              factor + channels);
      clear_edges(frame, g.out + i * frame.item());
    }
#pragma omp for schedule(static)
    for (int64_t i = 0; i < g.n_items * g.height; ++i) {
      const int64_t item = i / g.height, y = i % g.height;
      const float* factor = factors.data() + item * 2 * channels;
      apply_row(g.x + i * g.width * channels, g.width, channels, factor, factor + channels, g.with_silu,
                g.out_channels, g.out + item * frame.item() + frame.pixel(y, 0));
    }
  }
}

void layer_norm(const uint16_t* x, int64_t n_rows, int64_t n_channels, const float* weight, const float* bias,
                float eps, uint16_t* out) {
  T3D_CHECK(matrix_unit() != MatrixUnit::None, "no matrix unit");
#pragma omp parallel for schedule(static) if (n_rows * n_channels > (1 << 14))
  for (int64_t row = 0; row < n_rows; ++row)
    norm_row(x + row * n_channels, n_channels, weight, bias, eps, out + row * n_channels);
}

#else

void group_norm(const GroupNormCall&) {
  T3D_CHECK(false, "no matrix unit");
}
void layer_norm(const uint16_t*, int64_t, int64_t, const float*, const float*, float, uint16_t*) {
  T3D_CHECK(false, "no matrix unit");
}

#endif

}  // namespace t3d::ops::cpu
