#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "t3d/core/error.h"
#include "t3d/ops/mlp.h"
#include "t3d/ops/mlp_bf16.h"
#include "t3d/ops/mlp_kernels.h"
#include "t3d/ops/simd.h"

namespace t3d::ops::cpu {
namespace {

/// Weight-gradient sums: samples are cut into at most this many runs of blocks, whose sums are added in
/// order, so that the result is the same for any number of threads.
constexpr int64_t kMaxRuns = 32;

/// Floats on a cache line's boundary: tiles load whole lines.
class Aligned {
 public:
  explicit Aligned(int64_t n) : room_(new float[n + kLine]) {}
  float* data() const { return aligned(room_.get()); }
  static constexpr int64_t kLine = 16;
  static float* aligned(float* p) {
    return reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(p) + 63) / 64 * 64);
  }

 private:
  std::unique_ptr<float[]> room_;
};

struct Packed {
  Aligned data{0};
  std::vector<PackedLayer> layers;
  int64_t n_gradient = 0;
};

Packed pack(const MlpConfig& config, const float* params) {
  Packed packed;
  const std::vector<MlpLayer> layers = mlp_layers(config);
  int64_t total = 0;
  for (const MlpLayer& l : layers) total += int64_t{padded(l.n_out)} * padded(l.n_in);
  packed.data = Aligned(2 * total);
  std::fill_n(packed.data.data(), 2 * total, 0.f);
  float* to = packed.data.data();
  for (const MlpLayer& l : layers) {
    const int64_t size = int64_t{padded(l.n_out)} * padded(l.n_in);
    float* forward = to;
    float* backward = to + size;
    for (int o = 0; o < l.n_out; ++o)
      for (int i = 0; i < l.n_in; ++i) {
        const float w = params[l.first + int64_t{o} * l.n_in + i];
        forward[(int64_t{o} / kPanel * padded(l.n_in) + i) * kPanel + o % kPanel] = w;
        backward[(int64_t{i} / kPanel * padded(l.n_out) + o) * kPanel + i % kPanel] = w;
      }
    packed.layers.push_back({l.n_in, l.n_out, forward, backward, packed.n_gradient});
    packed.n_gradient += size;
    to += 2 * size;
  }
  return packed;
}

/// Moves n rows between panels and a batch in groups of kGroup, a panel's row at a time.
/// copy(element of the batch, element of the panel, number of floats)
template <int kGroup, class T, class Copy>
T3D_INLINE void move_groups(const Rows<T>& batch, int64_t first, int n, int n_columns, float* panels,
                            Copy copy) {
  constexpr int kGroups = kPanel / kGroup;
  const int64_t stride = batch.row_stride;
  for (int c = 0; c < n_columns; c += kPanel, panels += kPanelFloats) {
    T* stream[kGroups];
    for (int g = 0; g < kGroups; ++g)
      stream[g] = batch.data + first * stride + (c / kGroup + g) * batch.group_stride;
    float* row = panels;
    for (int64_t s = 0; s < n * stride; s += stride, row += kPanel)
      for (int g = 0; g < kGroups; ++g) copy(stream[g] + s, row + g * kGroup, kGroup);
  }
}

template <class T, class Copy>
T3D_INLINE void move_rows(const Rows<T>& batch, int64_t first, int n, int n_columns, float* panels,
                          Copy copy) {
  const bool whole = n_columns % kPanel == 0;
  if (whole && batch.group == 2) return move_groups<2>(batch, first, n, n_columns, panels, copy);
  if (whole && batch.group == 4) return move_groups<4>(batch, first, n, n_columns, panels, copy);
  if (whole && batch.group == 8) return move_groups<8>(batch, first, n, n_columns, panels, copy);
  for (int c = 0; c < n_columns;) {  // runs inside one group and one panel
    const int64_t in_group = c % batch.group;
    const int run = static_cast<int>(
        std::min({batch.group - in_group, int64_t{kPanel - c % kPanel}, int64_t{n_columns - c}}));
    T* from = batch.data + first * batch.row_stride + c / batch.group * batch.group_stride + in_group;
    float* row = panels + c / kPanel * kPanelFloats + c % kPanel;
    const int64_t stride = batch.row_stride;
    if (run == kPanel) {
      for (int s = 0; s < n; ++s) copy(from + s * stride, row + s * kPanel, kPanel);
    } else {
      for (int s = 0; s < n; ++s)
        for (int i = 0; i < run; ++i) copy(from + s * stride + i, row + s * kPanel + i, 1);
    }
    c += run;
  }
}

/// Rows first .. first+n into panels; rows and columns beyond are zero.
void gather(const Rows<const float>& from, int64_t first, int n, int n_columns, float* panels) {
  if (n < kBlockRows || n_columns % kPanel != 0)
    std::memset(panels, 0, sizeof(float) * n_panels(n_columns) * kPanelFloats);
  move_rows(from, first, n, n_columns, panels,
            [](const float* batch, float* panel, int k) { std::memcpy(panel, batch, k * sizeof(float)); });
}

void scatter(float* panels, int n_columns, int n, const Rows<float>& to, int64_t first) {
  move_rows(to, first, n, n_columns, panels,
            [](float* batch, const float* panel, int k) { std::memcpy(batch, panel, k * sizeof(float)); });
}

/// Asks for the cache lines of rows that lie level by level: so many short streams are more than the hardware
/// follows by itself. Always inline: the compiler drops calls of a function that only prefetches.
template <int kWrite, class T>
T3D_INLINE void request(const Rows<T>& r, int64_t first, int64_t n, int n_columns) {
  if (r.row_stride != r.group) return;
  for (int64_t c = 0; c < n_columns; c += r.group) {
    const T* from = r.data + first * r.row_stride + c / r.group * r.group_stride;
    for (int64_t i = 0; i < n * r.row_stride; i += 16) __builtin_prefetch(from + i, kWrite, 3);
  }
}

float activated(float x, Activation activation) {
  switch (activation) {
    case Activation::Relu:
      return std::max(x, 0.f);
    case Activation::Sigmoid:
      return 1.f / (1.f + std::exp(-x));
    case Activation::TruncExp:
      return std::exp(x);
    case Activation::Softplus:
      return x > 20.f ? x : std::log1p(std::exp(x));
    default:
      return x;
  }
}

/// The derivative by the layer's output, from the activated value.
float slope(float y, Activation activation) {
  switch (activation) {
    case Activation::Relu:
      return y > 0.f ? 1.f : 0.f;
    case Activation::Sigmoid:
      return y * (1.f - y);
    case Activation::TruncExp:
      return std::clamp(y, 3.0590232e-7f, 3269017.4f);  // exp(-15), exp(15)
    case Activation::Softplus:
      return -std::expm1(-y);
    default:
      return 1.f;
  }
}

/// f(panel element, row, column) for the samples and outputs of one block.
template <class F>
void for_each_output(float* panels, int n, int n_out, F f) {
  for (int s = 0; s < n; ++s)
    for (int o = 0; o < n_out; ++o) f(panels[o / kPanel * kPanelFloats + s * kPanel + o % kPanel], s, o);
}

int64_t n_blocks(int64_t n) {
  return (n + kBlockRows - 1) / kBlockRows;
}

bool uses_bfloat16(const MlpConfig& config) {
  return config.precision == Precision::Bfloat16 && mlp_bf16_available();
}

int64_t hidden_per_block(const MlpConfig& config) {
  return int64_t{config.n_hidden_layers} * config.n_neurons * kBlockRows;
}

}  // namespace

int64_t mlp_hidden_size(const MlpConfig& config, int64_t n) {
  if (uses_bfloat16(config)) return 0;
  return n_blocks(n) * hidden_per_block(config) + Aligned::kLine;  // to begin on a cache line
}

void mlp_forward(const MlpConfig& config, const float* params, Rows<const float> x, int64_t n, Rows<float> y,
                 float* hidden) {
  if (n == 0) return;
  if (uses_bfloat16(config)) return mlp_bf16_forward(config, params, x, n, y);
  const Packed packed = pack(config, params);
  const MlpKernels kernels = mlp_kernels();
  if (hidden != nullptr) hidden = Aligned::aligned(hidden);
#pragma omp parallel
  {
    Aligned in(padded(config.n_in) * kBlockRows), out(padded(config.n_out) * kBlockRows);
    Aligned own(hidden == nullptr ? hidden_per_block(config) : 0);
#pragma omp for schedule(dynamic, 16)
    for (int64_t b = 0; b < n_blocks(n); ++b) {
      const int64_t first = b * kBlockRows;
      const int n_rows = static_cast<int>(std::min<int64_t>(kBlockRows, n - first));
      gather(x, first, n_rows, config.n_in, in.data());
      request<0>(x, first + kBlockRows, std::min<int64_t>(kBlockRows, n - first - kBlockRows), config.n_in);
      kernels.forward(packed.layers, in.data(),
                      hidden == nullptr ? own.data() : hidden + b * hidden_per_block(config), out.data());
      if (config.output_activation != Activation::None)
        for_each_output(out.data(), n_rows, config.n_out,
                        [&](float& value, int, int) { value = activated(value, config.output_activation); });
      scatter(out.data(), config.n_out, n_rows, y, first);
    }
  }
}

void mlp_backward(const MlpConfig& config, const float* params, Rows<const float> x, int64_t n,
                  Rows<const float> y, const float* hidden, Rows<const float> dy, Rows<float> dx,
                  float* dparams) {
  if (n == 0) return;
  T3D_CHECK(y.data != nullptr || config.output_activation == Activation::None,
            "the derivative of the output activation needs y");
  if (uses_bfloat16(config)) return mlp_bf16_backward(config, params, x, n, y, dy, dx, dparams);
  const Packed packed = pack(config, params);
  const MlpKernels kernels = mlp_kernels();
  if (hidden != nullptr) hidden = Aligned::aligned(const_cast<float*>(hidden));
  const int64_t n_runs = std::min(n_blocks(n), kMaxRuns);
  const int64_t n_sums = dparams == nullptr ? 0 : n_runs * packed.n_gradient;
  Aligned sums(n_sums);
  std::fill_n(sums.data(), n_sums, 0.f);
#pragma omp parallel
  {
    Aligned in(padded(config.n_in) * kBlockRows), d_in(padded(config.n_in) * kBlockRows);
    Aligned d_out(padded(config.n_out) * kBlockRows), scratch(2 * config.n_neurons * kBlockRows);
    Aligned own(hidden == nullptr ? hidden_per_block(config) : 0);
#pragma omp for schedule(dynamic, 1)
    for (int64_t run = 0; run < n_runs; ++run) {
      for (int64_t b = run * n_blocks(n) / n_runs; b < (run + 1) * n_blocks(n) / n_runs; ++b) {
        const int64_t first = b * kBlockRows;
        const int n_rows = static_cast<int>(std::min<int64_t>(kBlockRows, n - first));
        gather(x, first, n_rows, config.n_in, in.data());
        const float* kept = hidden + b * hidden_per_block(config);
        if (hidden == nullptr) {
          kernels.forward(packed.layers, in.data(), own.data(), d_out.data());
          kept = own.data();
        }
        gather(dy, first, n_rows, config.n_out, d_out.data());
        request<0>(x, first + kBlockRows, std::min<int64_t>(kBlockRows, n - first - kBlockRows), config.n_in);
        if (dx.data != nullptr) request<1>(dx, first, n_rows, config.n_in);
        if (config.output_activation != Activation::None)
          for_each_output(d_out.data(), n_rows, config.n_out, [&](float& value, int s, int o) {
            value *= slope(y.at(first + s, o), config.output_activation);
          });
        kernels.backward(packed.layers, in.data(), kept, d_out.data(), scratch.data(),
                         dx.data == nullptr ? nullptr : d_in.data(),
                         dparams == nullptr ? nullptr : sums.data() + run * packed.n_gradient);
        if (dx.data != nullptr) scatter(d_in.data(), config.n_in, n_rows, dx, first);
      }
    }
  }
  if (dparams == nullptr) return;
  const std::vector<MlpLayer> layers = mlp_layers(config);
  for (size_t l = 0; l < layers.size(); ++l) {
    const int n_in = layers[l].n_in, n_out = layers[l].n_out;
#pragma omp parallel for schedule(static)
    for (int o = 0; o < n_out; ++o)
      for (int i = 0; i < n_in; ++i) {
        const int64_t at =
            packed.layers[l].gradient + (int64_t{i} / kPanel * padded(n_out) + o) * kPanel + i % kPanel;
        float sum = 0;
        for (int64_t run = 0; run < n_runs; ++run) sum += sums.data()[run * packed.n_gradient + at];
        dparams[layers[l].first + int64_t{o} * n_in + i] += sum;
      }
  }
}

}  // namespace t3d::ops::cpu
