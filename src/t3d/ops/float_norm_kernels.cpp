#include <algorithm>
#include <cstring>

#include "t3d/ops/float_lanes.h"
#include "t3d/ops/norm_passes.h"

namespace t3d::ops::cpu {
namespace {

/// sums[c], squares[c] over n_pixels of x - shift, for channels in runs of up to four vectors.
template <class Lanes>
T3D_INLINE void add_up_lanes(const float* x, int64_t n_pixels, int64_t n_channels, const float* shift,
                             float* sums, float* squares) {
  using V = typename Lanes::V;
  constexpr int64_t kWidth = kLanes<Lanes>, kRun = 4 * kWidth;
  int64_t c = 0;
  for (; c + kRun <= n_channels; c += kRun) {
    V base[4], sum[4] = {}, square[4] = {};
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) base[v] = load_lanes<V>(shift + c + v * kWidth);
    const float* from = x + c;
    for (int64_t p = 0; p < n_pixels; ++p, from += n_channels)
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) {
        const V d = load_lanes<V>(from + v * kWidth) - base[v];
        sum[v] += d;
        square[v] += d * d;
      }
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
      store_lanes(sums + c + v * kWidth, sum[v]);
      store_lanes(squares + c + v * kWidth, square[v]);
    }
  }
  for (; c < n_channels; c += kWidth) {
    const int64_t n = n_channels - c;
    const V base = load_lanes<V>(shift + c, n);
    V sum = {}, square = {};
    for (int64_t p = 0; p < n_pixels; ++p) {
      const V d = load_lanes<V>(x + p * n_channels + c, n) - base;
      sum += d;
      square += d * d;
    }
    store_lanes(sums + c, sum, n);
    store_lanes(squares + c, square, n);
  }
}

/// y = x factor + offset for every channel, and its SiLU where wanted.
template <class Lanes, bool with_silu>
T3D_INLINE void apply_row_lanes(const float* x, int64_t n_pixels, int64_t n_channels, const float* factor,
                                const float* offset, int64_t out_channels, float* y) {
  using V = typename Lanes::V;
  for (int64_t p = 0; p < n_pixels; ++p, x += n_channels, y += out_channels) {
    for (int64_t c = 0; c < n_channels; c += kLanes<Lanes>) {
      const int64_t n = n_channels - c;
      V z = load_lanes<V>(x + c, n) * load_lanes<V>(factor + c, n) + load_lanes<V>(offset + c, n);
      if (with_silu) {
        V lack;
        z = z * sigmoid_lanes<Lanes>(z, &lack);
      }
      store_lanes(y + c, z, n);
    }
    if (out_channels > n_channels)
      std::memset(y + n_channels, 0, (out_channels - n_channels) * sizeof(float));
  }
}

/// The gradient with respect to z, and x_hat, of some channels of one pixel.
template <class V>
struct PixelLanes {
  V dz, x_hat;
};
template <class Lanes>
T3D_INLINE PixelLanes<typename Lanes::V> adjoint_lanes(const float* x, const float* dy, int64_t c, int64_t n,
                                                       bool with_silu, const ChannelConstants& k) {
  using V = typename Lanes::V;
  PixelLanes<V> p;
  p.x_hat = load_lanes<V>(x + c, n) * load_lanes<V>(k.scale + c, n) + load_lanes<V>(k.shift + c, n);
  p.dz = load_lanes<V>(dy + c, n);
  if (!with_silu) return p;
  const V z = p.x_hat * load_lanes<V>(k.weight + c, n) + load_lanes<V>(k.bias + c, n);
  V lack;
  const V s = sigmoid_lanes<Lanes>(z, &lack);  // (z s)' = s (1 + z (1 - s))
  p.dz = p.dz * (s * (z * lack + 1.f));
  return p;
}

/// sums[0][c] = dz, sums[1][c] = dz x_hat over some pixels.
template <class Lanes>
T3D_INLINE void add_up_adjoint_lanes(const float* x, const float* dy, int64_t n_pixels, int64_t n_channels,
                                     bool with_silu, const ChannelConstants& k, float* sums) {
  using V = typename Lanes::V;
  for (int64_t c = 0; c < n_channels; c += kLanes<Lanes>) {
    const int64_t n = n_channels - c;
    V sum = {}, with_x = {};
    for (int64_t p = 0; p < n_pixels; ++p) {
      const auto here = adjoint_lanes<Lanes>(x + p * n_channels, dy + p * n_channels, c, n, with_silu, k);
      sum += here.dz;
      with_x += here.dz * here.x_hat;
    }
    store_lanes(sums + c, sum, n);
    store_lanes(sums + n_channels + c, with_x, n);
  }
}

/// dx = scale (weight dz - mean_1 - x_hat mean_2), the means by channel.
template <class Lanes>
T3D_INLINE void apply_adjoint_lanes(const float* x, const float* dy, int64_t n_pixels, int64_t n_channels,
                                    bool with_silu, const ChannelConstants& k, const float* means,
                                    float* dx) {
  using V = typename Lanes::V;
  for (int64_t p = 0; p < n_pixels; ++p, x += n_channels, dy += n_channels, dx += n_channels)
    for (int64_t c = 0; c < n_channels; c += kLanes<Lanes>) {
      const int64_t n = n_channels - c;
      const auto here = adjoint_lanes<Lanes>(x, dy, c, n, with_silu, k);
      const V d = here.dz * load_lanes<V>(k.weight + c, n) - load_lanes<V>(means + c, n) -
                  here.x_hat * load_lanes<V>(means + n_channels + c, n);
      store_lanes(dx + c, V(d * load_lanes<V>(k.scale + c, n)), n);
    }
}

/// The passes of norm_passes.h for one instruction set.
struct FloatNorm {
  void (*add_up)(const float* x, int64_t n_pixels, int64_t n_channels, const float* shift, float* sums,
                 float* squares);
  void (*apply_row)(const float* x, int64_t n_pixels, int64_t n_channels, const float* factor,
                    const float* offset, bool with_silu, int64_t out_channels, float* y);
  void (*add_up_adjoint)(const float* x, const float* dy, int64_t n_pixels, int64_t n_channels,
                         bool with_silu, const ChannelConstants& k, float* sums);
  void (*apply_adjoint)(const float* x, const float* dy, int64_t n_pixels, int64_t n_channels, bool with_silu,
                        const ChannelConstants& k, const float* means, float* dx);
};

#define T3D_FLOAT_NORM(NAME, TARGET, LANES)                                                                 \
  TARGET void add_up_##NAME(const float* x, int64_t n_pixels, int64_t n_channels, const float* shift,       \
                            float* sums, float* squares) {                                                  \
    add_up_lanes<LANES>(x, n_pixels, n_channels, shift, sums, squares);                                     \
  }                                                                                                         \
  TARGET void apply_row_##NAME(const float* x, int64_t n_pixels, int64_t n_channels, const float* factor,   \
                               const float* offset, bool with_silu, int64_t out_channels, float* y) {       \
    if (with_silu)                                                                                          \
      apply_row_lanes<LANES, true>(x, n_pixels, n_channels, factor, offset, out_channels, y);               \
    else                                                                                                    \
      apply_row_lanes<LANES, false>(x, n_pixels, n_channels, factor, offset, out_channels, y);              \
  }                                                                                                         \
  TARGET void add_up_adjoint_##NAME(const float* x, const float* dy, int64_t n_pixels, int64_t n_channels,  \
                                    bool with_silu, const ChannelConstants& k, float* sums) {               \
    add_up_adjoint_lanes<LANES>(x, dy, n_pixels, n_channels, with_silu, k, sums);                           \
  }                                                                                                         \
  TARGET void apply_adjoint_##NAME(const float* x, const float* dy, int64_t n_pixels, int64_t n_channels,   \
                                   bool with_silu, const ChannelConstants& k, const float* means,           \
                                   float* dx) {                                                             \
    apply_adjoint_lanes<LANES>(x, dy, n_pixels, n_channels, with_silu, k, means, dx);                       \
  }                                                                                                         \
  constexpr FloatNorm kNorm_##NAME{add_up_##NAME, apply_row_##NAME, add_up_adjoint_##NAME, apply_adjoint_##NAME}

T3D_FLOAT_NORM(portable, , PortableLanes);
T3D_FLOAT_NORM(avx2, T3D_TARGET_AVX2, Avx2Lanes);
T3D_FLOAT_NORM(avx512, T3D_TARGET_AVX512, Avx512Lanes);

const FloatNorm& float_norm() {
  return simd() == Simd::Avx512 ? kNorm_avx512 : simd() == Simd::Avx2 ? kNorm_avx2 : kNorm_portable;
}

}  // namespace

void float_group_norm(const GroupNormCall& call) {
  norm_pictures<float, float>(call, float_norm());
}

void float_group_norm_adjoint(const GroupNormAdjointCall& call) {
  adjoint_of_pictures<float, float>(call, float_norm());
}

void add_border(const float* x, int64_t n_items, int64_t height, int64_t width, int64_t n_channels,
                int64_t border, int64_t out_channels, float* out) {
  add_border_to(x, n_items, n_channels, {height, width, border, out_channels}, out,
                [](const float* from, int64_t n, float* to) { std::memcpy(to, from, n * sizeof(float)); });
}

}  // namespace t3d::ops::cpu
