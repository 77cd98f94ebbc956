#include "t3d/ops/mlp_kernels.h"

#include <algorithm>
#include <cstring>

#include "t3d/ops/simd.h"

// Each product keeps a tile of R samples by C panels in registers: 6 x 64 numbers with AVX-512, 6 x 16 with
// AVX2, 3 x 16 in portable code (SSE). Three forms are enough: layer (A B), its data gradient (A B with the
// other packing) and its weight gradient (A^T B).
namespace t3d::ops::cpu {
namespace {

typedef float Vec4 __attribute__((vector_size(16)));
typedef float Vec8 __attribute__((vector_size(32)));
typedef float Vec16 __attribute__((vector_size(64)));

/// V: vector type; kRows: rows of a tile one panel wide; kWide: panels of the widest tile, always 6 rows.
struct Sse {
  using V = Vec4;
  static constexpr int kVectors = 4, kRows = 3, kWide = 1;
};
struct Avx2 {
  using V = Vec8;
  static constexpr int kVectors = 2, kRows = 6, kWide = 1;
};
struct Avx512 {
  using V = Vec16;
  static constexpr int kVectors = 1, kRows = 12, kWide = 4;
};

template <class V>
T3D_INLINE void load(V& v, const float* from) {
  std::memcpy(&v, from, sizeof(V));
}

enum class After { Nothing, Relu, Mask };

/// out[c][r] = sum over k of a[r][k] * b[c][k], for R rows and C panels, of which the first NV vectors count.
/// Mask: zero where `mask`, laid out as out, is not positive.
template <class V, int R, int C, int NV, After after>
T3D_INLINE void tile(const float* a, int n_k, const float* b, int64_t b_panel, float* out,
                     const float* mask) {
  constexpr int kWidth = sizeof(V) / sizeof(float);
  V sum[R][C][NV] = {};
  for (int k0 = 0; k0 < n_k; k0 += kPanel, a += kPanelFloats) {
    const int k1 = std::min(kPanel, n_k - k0);
    for (int k = 0; k < k1; ++k, b += kPanel) {
      V w[C][NV];
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c)
#pragma GCC unroll 16
        for (int v = 0; v < NV; ++v) load(w[c][v], b + c * b_panel + v * kWidth);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
        for (int c = 0; c < C; ++c)
#pragma GCC unroll 16
          for (int v = 0; v < NV; ++v) sum[r][c][v] += a[r * kPanel + k] * w[c][v];
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c)
#pragma GCC unroll 16
      for (int v = 0; v < NV; ++v) {
        const int at = c * kPanelFloats + r * kPanel + v * kWidth;
        V x = sum[r][c][v];
        if (after == After::Relu) x = x > 0.f ? x : V{};
        if (after == After::Mask) {
          V kept;
          load(kept, mask + at);
          x = kept > 0.f ? x : V{};
        }
        std::memcpy(out + at, &x, sizeof(V));
      }
}

template <class Isa, int R, int C, int NV, After after>
T3D_INLINE void panels(const float* a, int n_k, const float* b, int64_t b_panel, float* out,
                       const float* mask) {
  for (int row = 0; row < kBlockRows; row += R)
    tile<typename Isa::V, R, C, NV, after>(a + row * kPanel, n_k, b, b_panel, out + row * kPanel,
                                           after == After::Mask ? mask + row * kPanel : nullptr);
}

/// out [n panels][96][16] = a [K panels][96][16] times b [n panels][K padded][16].
template <class Isa, After after>
T3D_INLINE void product(const float* a, int n_k, const float* b, int n_columns, float* out,
                        const float* mask) {
  const int64_t b_panel = int64_t{padded(n_k)} * kPanel;
  int p = 0;
  const int n = n_panels(n_columns);
  const auto skip = [&](int count) {
    p += count;
    b += count * b_panel;
    out += count * kPanelFloats;
    if (after == After::Mask) mask += count * kPanelFloats;
  };
  if constexpr (Isa::kWide == 4) {
    for (; p + 4 <= n; skip(4)) panels<Isa, 6, 4, 1, after>(a, n_k, b, b_panel, out, mask);
    for (; p + 2 <= n; skip(2)) panels<Isa, 12, 2, 1, after>(a, n_k, b, b_panel, out, mask);
  }
  for (; p < n; skip(1)) {
    if constexpr (Isa::kVectors == 2) {
      if (n_columns - p * kPanel <= kPanel / 2) {  // such as 4 outputs: half the panel is enough
        panels<Isa, 12, 1, 1, after>(a, n_k, b, b_panel, out, mask);
        continue;
      }
    }
    panels<Isa, Isa::kRows, 1, Isa::kVectors, after>(a, n_k, b, b_panel, out, mask);
  }
}

/// to[c][r] += sum over the 96 samples of a[s][r] * b[c][s], for R columns of a, at a_column[r], and C panels
/// of b; to_panel floats lie between the results of two panels.
template <class V, int R, int C, int NV>
T3D_INLINE void outer_tile(const float* const* a_column, const float* b, float* to, int to_panel) {
  constexpr int kWidth = sizeof(V) / sizeof(float);
  const float* a[R];
  V sum[R][C][NV];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    a[r] = a_column[r];
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c)
#pragma GCC unroll 16
      for (int v = 0; v < NV; ++v) load(sum[r][c][v], to + c * to_panel + r * kPanel + v * kWidth);
  }
  for (int64_t s = 0; s < kPanelFloats; s += kPanel) {
    V x[C][NV];
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c)
#pragma GCC unroll 16
      for (int v = 0; v < NV; ++v) load(x[c][v], b + c * kPanelFloats + s + v * kWidth);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c)
#pragma GCC unroll 16
        for (int v = 0; v < NV; ++v) sum[r][c][v] += a[r][s] * x[c][v];
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c)
#pragma GCC unroll 16
      for (int v = 0; v < NV; ++v)
        std::memcpy(to + c * to_panel + r * kPanel + v * kWidth, &sum[r][c][v], sizeof(V));
}

template <class V, int C, int NV>
T3D_INLINE void outer_rest(int n, const float* const* a_column, const float* b, float* to, int to_panel) {
  switch (n) {
    case 5:
      return outer_tile<V, 5, C, NV>(a_column, b, to, to_panel);
    case 4:
      return outer_tile<V, 4, C, NV>(a_column, b, to, to_panel);
    case 3:
      return outer_tile<V, 3, C, NV>(a_column, b, to, to_panel);
    case 2:
      return outer_tile<V, 2, C, NV>(a_column, b, to, to_panel);
    case 1:
      return outer_tile<V, 1, C, NV>(a_column, b, to, to_panel);
    default:
      return;
  }
}

/// The C panels of x that follow one another, against all n_out columns of dy.
template <class Isa, int C>
T3D_INLINE void outer_panels(const float* dy, int n_out, const float* x, float* gradient) {
  using V = typename Isa::V;
  constexpr int kVectors = Isa::kVectors, kRows = kVectors == 4 ? 3 : kVectors == 2 ? 6 : 8;
  const int panel = padded(n_out) * kPanel;
  const float* column[kRows];
  for (int o = 0; o < n_out; o += kRows) {
    const int n = std::min(kRows, n_out - o);
    for (int r = 0; r < n; ++r) column[r] = dy + (o + r) / kPanel * kPanelFloats + (o + r) % kPanel;
    float* to = gradient + o * kPanel;
    if (n == kRows) {
      outer_tile<V, kRows, C, kVectors>(column, x, to, panel);
    } else if (n > 5) {
      outer_rest<V, C, kVectors>(4, column, x, to, panel);
      outer_rest<V, C, kVectors>(n - 4, column + 4, x, to + 4 * kPanel, panel);
    } else {
      outer_rest<V, C, kVectors>(n, column, x, to, panel);
    }
  }
}

/// gradient [n_in panels][n_out padded][16] += dy^T x, both [panels][96][16].
template <class Isa>
T3D_INLINE void outer(const float* dy, int n_out, const float* x, int n_in, float* gradient) {
  const int panel = padded(n_out) * kPanel, n = n_panels(n_in);
  int p = 0;
  if constexpr (Isa::kWide == 4) {
    // 8 sums in flight only just cover the latency of two multiply-adds a cycle, and each wants a broadcast
    // of its own; two panels share the broadcasts and double the sums.
    for (; p + 2 <= n; p += 2) outer_panels<Isa, 2>(dy, n_out, x + p * kPanelFloats, gradient + p * panel);
  }
  for (; p < n; ++p) outer_panels<Isa, 1>(dy, n_out, x + p * kPanelFloats, gradient + p * panel);
}

template <class Isa>
T3D_INLINE void forward(const std::vector<PackedLayer>& layers, const float* x, float* hidden, float* y) {
  const float* in = x;
  for (size_t l = 0; l + 1 < layers.size(); ++l) {
    product<Isa, After::Relu>(in, layers[l].n_in, layers[l].forward, layers[l].n_out, hidden, nullptr);
    in = hidden;
    hidden += n_panels(layers[l].n_out) * kPanelFloats;
  }
  product<Isa, After::Nothing>(in, layers.back().n_in, layers.back().forward, layers.back().n_out, y,
                               nullptr);
}

template <class Isa>
T3D_INLINE void backward(const std::vector<PackedLayer>& layers, const float* x, const float* hidden,
                         const float* dy, float* scratch, float* dx, float* gradient) {
  const int64_t width = int64_t{n_panels(layers[0].n_out)} * kPanelFloats;
  for (int l = static_cast<int>(layers.size()) - 1; l >= 0; --l) {
    const PackedLayer& layer = layers[l];
    const float* in = l == 0 ? x : hidden + (l - 1) * width;
    if (gradient != nullptr) outer<Isa>(dy, layer.n_out, in, layer.n_in, gradient + layer.gradient);
    if (l > 0) {
      float* to = scratch + l % 2 * width;
      product<Isa, After::Mask>(dy, layer.n_out, layer.backward, layer.n_in, to, in);
      dy = to;
    } else if (dx != nullptr) {
      product<Isa, After::Nothing>(dy, layer.n_out, layer.backward, layer.n_in, dx, nullptr);
    }
  }
}

using Layers = std::vector<PackedLayer>;
void forward_portable(const Layers& layers, const float* x, float* hidden, float* y) {
  forward<Sse>(layers, x, hidden, y);
}
void backward_portable(const Layers& layers, const float* x, const float* hidden, const float* dy,
                       float* scratch, float* dx, float* gradient) {
  backward<Sse>(layers, x, hidden, dy, scratch, dx, gradient);
}
T3D_TARGET_AVX2 void forward_avx2(const Layers& layers, const float* x, float* hidden, float* y) {
  forward<Avx2>(layers, x, hidden, y);
}
T3D_TARGET_AVX2 void backward_avx2(const Layers& layers, const float* x, const float* hidden, const float* dy,
                                   float* scratch, float* dx, float* gradient) {
  backward<Avx2>(layers, x, hidden, dy, scratch, dx, gradient);
}
T3D_TARGET_AVX512 void forward_avx512(const Layers& layers, const float* x, float* hidden, float* y) {
  forward<Avx512>(layers, x, hidden, y);
}
T3D_TARGET_AVX512 void backward_avx512(const Layers& layers, const float* x, const float* hidden,
                                       const float* dy, float* scratch, float* dx, float* gradient) {
  backward<Avx512>(layers, x, hidden, dy, scratch, dx, gradient);
}

}  // namespace

MlpKernels mlp_kernels() {
  if (simd() >= Simd::Avx512) return {forward_avx512, backward_avx512};
  if (simd() == Simd::Avx2) return {forward_avx2, backward_avx2};
  return {forward_portable, backward_portable};
}

}  // namespace t3d::ops::cpu
