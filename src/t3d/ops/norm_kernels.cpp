#include "t3d/ops/norm_kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "t3d/core/error.h"
#include "t3d/ops/matrix_block.h"
#include "t3d/ops/norm_passes.h"

namespace t3d::ops::cpu {

#ifdef T3D_HAS_MATRIX_BLOCK
namespace {

void copy_numbers(const Bf16* from, int64_t n, Bf16* to) {
  std::memcpy(to, from, n * sizeof(Bf16));
}
T3D_TARGET_BF16 void copy_numbers(const float* from, int64_t n, Bf16* to) {
  for (int64_t i = 0; i < n; i += 16) {
    const __mmask16 mask = first_of_16(n - i);
    store_bf16(to + i, load_16(from + i, mask), mask);
  }
}

template <class X>
void add_border_to(const X* x, int64_t n_items, int64_t n_channels, const Frame& frame, Bf16* out) {
  add_border_to(x, n_items, n_channels, frame, out,
                [](const X* from, int64_t n, Bf16* to) { copy_numbers(from, n, to); });
}

/// sums[c], squares[c] over n_pixels of x - shift, for channels in runs of up to 64.
template <class X>
T3D_TARGET_BF16 void add_up(const X* x, int64_t n_pixels, int64_t n_channels, const X* shift, float* sums,
                            float* squares) {
  for (int64_t c = 0; c < n_channels; c += 64) {
    const int64_t vectors = std::min<int64_t>(4, (n_channels - c + 15) / 16);
    __mmask16 mask[4];
    __m512 base[4], sum[4], square[4];
    for (int64_t v = 0; v < 4; ++v) {
      mask[v] = first_of_16(n_channels - c - 16 * v);
      base[v] = load_16(shift + c + 16 * v, mask[v]);
      sum[v] = square[v] = _mm512_setzero_ps();
    }
    const X* from = x + c;
    if (vectors == 4 && n_channels - c >= 64) {
      for (int64_t p = 0; p < n_pixels; ++p, from += n_channels)
#pragma GCC unroll 4
        for (int v = 0; v < 4; ++v) {
          const __m512 d = _mm512_sub_ps(load_16(from + 16 * v), base[v]);
          sum[v] = _mm512_add_ps(sum[v], d);
          square[v] = _mm512_fmadd_ps(d, d, square[v]);
        }
    } else {
      for (int64_t p = 0; p < n_pixels; ++p, from += n_channels)
        for (int64_t v = 0; v < vectors; ++v) {
          const __m512 d = _mm512_sub_ps(load_16(from + 16 * v, mask[v]), base[v]);
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

/// 1 / (1 + exp(-z)) and what it lacks to 1, from exp(-|z|), which never overflows.
T3D_BF16_INLINE __m512 sigmoid(__m512 z, __m512* lack) {
  const __m512 e = exp2_of_negative(_mm512_mul_ps(_mm512_abs_ps(z), _mm512_set1_ps(-1.44269504f)));
  const __m512 large = _mm512_rcp14_ps(_mm512_add_ps(_mm512_set1_ps(1.f), e)),
               small = _mm512_mul_ps(large, e);
  const __mmask16 negative = _mm512_cmp_ps_mask(z, _mm512_setzero_ps(), _CMP_LT_OQ);
  *lack = _mm512_mask_blend_ps(negative, small, large);
  return _mm512_mask_blend_ps(negative, large, small);
}

/// y = x factor + offset for every channel, and its SiLU where wanted.
template <bool with_silu, class X>
T3D_BF16_INLINE void apply_pixel(const X* x, int64_t n_channels, const float* factor, const float* offset,
                                 Bf16* y) {
  for (int64_t c = 0; c < n_channels; c += 16) {
    const __mmask16 mask = first_of_16(n_channels - c);
    const __m512 in = load_16(x + c, mask);
    __m512 z =
        _mm512_fmadd_ps(in, _mm512_maskz_loadu_ps(mask, factor + c), _mm512_maskz_loadu_ps(mask, offset + c));
    if (with_silu) {
      __m512 lack;
      z = _mm512_mul_ps(z, sigmoid(z, &lack));
    }
    store_bf16(y + c, z, mask);
  }
}

template <class X>
T3D_TARGET_BF16 void apply_row(const X* x, int64_t n_pixels, int64_t n_channels, const float* factor,
                               const float* offset, bool with_silu, int64_t out_channels, Bf16* y) {
  for (int64_t p = 0; p < n_pixels; ++p, x += n_channels, y += out_channels) {
    if (with_silu)
      apply_pixel<true>(x, n_channels, factor, offset, y);
    else
      apply_pixel<false>(x, n_channels, factor, offset, y);
    if (out_channels > n_channels) std::memset(y + n_channels, 0, (out_channels - n_channels) * sizeof(Bf16));
  }
}

template <class X>
T3D_TARGET_BF16 void norm_row(const X* x, int64_t n, const float* weight, const float* bias, float eps,
                              Bf16* out) {
  __m512 sum = _mm512_setzero_ps();
  for (int64_t i = 0; i < n; i += 16) sum = _mm512_add_ps(sum, load_16(x + i, first_of_16(n - i)));
  const float mean = _mm512_reduce_add_ps(sum) / static_cast<float>(n);
  const __m512 middle = _mm512_set1_ps(mean);
  __m512 square = _mm512_setzero_ps();
  for (int64_t i = 0; i < n; i += 16) {
    const __mmask16 mask = first_of_16(n - i);
    const __m512 d = _mm512_maskz_sub_ps(mask, load_16(x + i, mask), middle);
    square = _mm512_fmadd_ps(d, d, square);
  }
  const __m512 factor =
      _mm512_set1_ps(1 / std::sqrt(_mm512_reduce_add_ps(square) / static_cast<float>(n) + eps));
  for (int64_t i = 0; i < n; i += 16) {
    const __mmask16 mask = first_of_16(n - i);
    const __m512 d = _mm512_mul_ps(_mm512_sub_ps(load_16(x + i, mask), middle), factor);
    store_bf16(
        out + i,
        _mm512_fmadd_ps(d, _mm512_maskz_loadu_ps(mask, weight + i), _mm512_maskz_loadu_ps(mask, bias + i)),
        mask);
  }
}

/// The gradient with respect to z, and x_hat, of sixteen channels of one pixel.
struct Pixel {
  __m512 dz, x_hat;
};
template <class X, class Y>
T3D_BF16_INLINE Pixel adjoint_pixel(const X* x, const Y* dy, int64_t c, __mmask16 mask, bool with_silu,
                                    const ChannelConstants& k) {
  Pixel p;
  p.x_hat = _mm512_fmadd_ps(load_16(x + c, mask), _mm512_maskz_loadu_ps(mask, k.scale + c),
                            _mm512_maskz_loadu_ps(mask, k.shift + c));
  p.dz = load_16(dy + c, mask);
  if (!with_silu) return p;
  const __m512 z = _mm512_fmadd_ps(p.x_hat, _mm512_maskz_loadu_ps(mask, k.weight + c),
                                   _mm512_maskz_loadu_ps(mask, k.bias + c));
  __m512 lack;
  const __m512 s = sigmoid(z, &lack);  // (z s)' = s (1 + z (1 - s))
  p.dz = _mm512_mul_ps(p.dz, _mm512_mul_ps(s, _mm512_fmadd_ps(z, lack, _mm512_set1_ps(1.f))));
  return p;
}

/// sums[0][c] = dz, sums[1][c] = dz x_hat over some pixels.
template <class X, class Y>
T3D_TARGET_BF16 void add_up_adjoint(const X* x, const Y* dy, int64_t n_pixels, int64_t n_channels,
                                    bool with_silu, const ChannelConstants& k, float* sums) {
  for (int64_t c = 0; c < n_channels; c += 16) {
    const __mmask16 mask = first_of_16(n_channels - c);
    __m512 sum = _mm512_setzero_ps(), with_x = sum;
    for (int64_t p = 0; p < n_pixels; ++p) {
      const Pixel here = adjoint_pixel(x + p * n_channels, dy + p * n_channels, c, mask, with_silu, k);
      sum = _mm512_add_ps(sum, here.dz);
      with_x = _mm512_fmadd_ps(here.dz, here.x_hat, with_x);
    }
    _mm512_mask_storeu_ps(sums + c, mask, sum);
    _mm512_mask_storeu_ps(sums + n_channels + c, mask, with_x);
  }
}

/// dx = scale (weight dz - mean_1 - x_hat mean_2), the means by channel.
template <class X, class Y>
T3D_TARGET_BF16 void apply_adjoint(const X* x, const Y* dy, int64_t n_pixels, int64_t n_channels,
                                   bool with_silu, const ChannelConstants& k, const float* means, X* dx) {
  for (int64_t p = 0; p < n_pixels; ++p, x += n_channels, dy += n_channels, dx += n_channels)
    for (int64_t c = 0; c < n_channels; c += 16) {
      const __mmask16 mask = first_of_16(n_channels - c);
      const Pixel here = adjoint_pixel(x, dy, c, mask, with_silu, k);
      __m512 d = _mm512_fmsub_ps(here.dz, _mm512_maskz_loadu_ps(mask, k.weight + c),
                                 _mm512_maskz_loadu_ps(mask, means + c));
      d = _mm512_fnmadd_ps(here.x_hat, _mm512_maskz_loadu_ps(mask, means + n_channels + c), d);
      store_16(dx + c, _mm512_mul_ps(d, _mm512_maskz_loadu_ps(mask, k.scale + c)), mask);
    }
}

/// The passes of norm_passes.h.
struct Bf16Norm {
  template <class X>
  void add_up(const X* x, int64_t n_pixels, int64_t n_channels, const X* shift, float* sums,
              float* squares) const {
    cpu::add_up(x, n_pixels, n_channels, shift, sums, squares);
  }
  template <class X>
  void apply_row(const X* x, int64_t n_pixels, int64_t n_channels, const float* factor, const float* offset,
                 bool with_silu, int64_t out_channels, Bf16* y) const {
    cpu::apply_row(x, n_pixels, n_channels, factor, offset, with_silu, out_channels, y);
  }
  template <class X, class Y>
  void add_up_adjoint(const X* x, const Y* dy, int64_t n_pixels, int64_t n_channels, bool with_silu,
                      const ChannelConstants& k, float* sums) const {
    cpu::add_up_adjoint(x, dy, n_pixels, n_channels, with_silu, k, sums);
  }
  template <class X, class Y>
  void apply_adjoint(const X* x, const Y* dy, int64_t n_pixels, int64_t n_channels, bool with_silu,
                     const ChannelConstants& k, const float* means, X* dx) const {
    cpu::apply_adjoint(x, dy, n_pixels, n_channels, with_silu, k, means, dx);
  }
};

template <class X>
void norm_rows(const X* x, int64_t n_rows, int64_t n_channels, const float* weight, const float* bias,
               float eps, uint16_t* out) {
#pragma omp parallel for schedule(static) if (n_rows * n_channels > (1 << 14))
  for (int64_t row = 0; row < n_rows; ++row)
    norm_row(x + row * n_channels, n_channels, weight, bias, eps, out + row * n_channels);
}

}  // namespace

void group_norm(const GroupNormCall& call) {
  T3D_CHECK(matrix_unit() != MatrixUnit::None, "no matrix unit");
  call.x.is_single ? norm_pictures<float, Bf16>(call, Bf16Norm()) : norm_pictures<Bf16, Bf16>(call, Bf16Norm());
}

void group_norm_adjoint(const GroupNormAdjointCall& call) {
  T3D_CHECK(matrix_unit() != MatrixUnit::None, "no matrix unit");
  const Bf16Norm norm;
  if (call.dy.is_single)
    call.x.is_single ? adjoint_of_pictures<float, float>(call, norm) : adjoint_of_pictures<Bf16, float>(call, norm);
  else
    call.x.is_single ? adjoint_of_pictures<float, Bf16>(call, norm) : adjoint_of_pictures<Bf16, Bf16>(call, norm);
}

void add_border(Numbers x, int64_t n_items, int64_t height, int64_t width, int64_t n_channels, int64_t border,
                int64_t out_channels, uint16_t* out) {
  T3D_CHECK(matrix_unit() != MatrixUnit::None, "no matrix unit");
  const Frame frame{height, width, border, out_channels};
  if (x.is_single)
    add_border_to(static_cast<const float*>(x.first), n_items, n_channels, frame, out);
  else
    add_border_to(static_cast<const Bf16*>(x.first), n_items, n_channels, frame, out);
}

void layer_norm(Numbers x, int64_t n_rows, int64_t n_channels, const float* weight, const float* bias,
                float eps, uint16_t* out) {
  T3D_CHECK(matrix_unit() != MatrixUnit::None, "no matrix unit");
  if (x.is_single)
    norm_rows(static_cast<const float*>(x.first), n_rows, n_channels, weight, bias, eps, out);
  else
    norm_rows(static_cast<const Bf16*>(x.first), n_rows, n_channels, weight, bias, eps, out);
}

#else

void group_norm(const GroupNormCall&) {
  T3D_CHECK(false, "no matrix unit");
}
void group_norm_adjoint(const GroupNormAdjointCall&) {
  T3D_CHECK(false, "no matrix unit");
}
void add_border(Numbers, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, uint16_t*) {
  T3D_CHECK(false, "no matrix unit");
}
void layer_norm(Numbers, int64_t, int64_t, const float*, const float*, float, uint16_t*) {
  T3D_CHECK(false, "no matrix unit");
}

#endif

}  // namespace t3d::ops::cpu
