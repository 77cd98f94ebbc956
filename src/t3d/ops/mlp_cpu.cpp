#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "t3d/core/error.h"
#include "t3d/ops/mlp.h"
#include "t3d/ops/mlp_kernels.h"

namespace t3d::ops::cpu {
namespace {

/// Weight-gradient sums: samples are cut into at most this many runs of blocks, whose sums are added in
/// order, so that the result is the same for any number of threads.
constexpr int64_t kMaxRuns = 32;

struct Packed {
  std::vector<float> data;
  std::vector<PackedLayer> layers;
  int64_t n_gradient = 0;
};

Packed pack(const MlpConfig& config, const float* params) {
  Packed packed;
  const std::vector<MlpLayer> layers = mlp_layers(config);
  int64_t total = 0;
  for (const MlpLayer& l : layers) total += int64_t{padded(l.n_out)} * padded(l.n_in);
  packed.data.assign(2 * total, 0.f);
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

/// Rows first .. first+n of `from` into panels; rows and columns beyond are zero.
template <int kGroup>
void gather_groups(const Rows<const float>& from, int64_t first, int n, int n_columns, float* panels) {
  const int group = kGroup > 0 ? kGroup : static_cast<int>(std::min<int64_t>(from.group, n_columns));
  for (int c = 0; c < n_columns; c += group) {
    const float* source = from.data + first * from.row_stride + c / group * from.group_stride;
    const int count = std::min(group, n_columns - c);
    for (int i = 0; i < count;) {  // runs inside one panel
      const int column = c + i, run = kGroup > 0 ? kGroup : std::min(count - i, kPanel - column % kPanel);
      float* to = panels + column / kPanel * kPanelFloats + column % kPanel;
      for (int s = 0; s < n; ++s)
        std::memcpy(to + s * kPanel, source + s * from.row_stride + i, run * sizeof(float));
      i += run;
    }
  }
}

void gather(const Rows<const float>& from, int64_t first, int n, int n_columns, float* panels) {
  if (n < kBlockRows || n_columns % kPanel != 0)
    std::memset(panels, 0, sizeof(float) * n_panels(n_columns) * kPanelFloats);
  if (from.group == 2 && n_columns % 2 == 0) return gather_groups<2>(from, first, n, n_columns, panels);
  if (from.group == 4 && n_columns % 4 == 0) return gather_groups<4>(from, first, n, n_columns, panels);
  if (from.group == 8 && n_columns % 8 == 0) return gather_groups<8>(from, first, n, n_columns, panels);
  gather_groups<0>(from, first, n, n_columns, panels);
}

template <int kGroup>
void scatter_groups(const float* panels, int n_columns, int n, const Rows<float>& to, int64_t first) {
  const int group = kGroup > 0 ? kGroup : static_cast<int>(std::min<int64_t>(to.group, n_columns));
  for (int c = 0; c < n_columns; c += group) {
    float* target = to.data + first * to.row_stride + c / group * to.group_stride;
    const int count = std::min(group, n_columns - c);
    for (int i = 0; i < count;) {
      const int column = c + i, run = kGroup > 0 ? kGroup : std::min(count - i, kPanel - column % kPanel);
      const float* source = panels + column / kPanel * kPanelFloats + column % kPanel;
      for (int s = 0; s < n; ++s)
        std::memcpy(target + s * to.row_stride + i, source + s * kPanel, run * sizeof(float));
      i += run;
    }
  }
}

void scatter(const float* panels, int n_columns, int n, const Rows<float>& to, int64_t first) {
  if (to.group == 2 && n_columns % 2 == 0) return scatter_groups<2>(panels, n_columns, n, to, first);
  if (to.group == 4 && n_columns % 4 == 0) return scatter_groups<4>(panels, n_columns, n, to, first);
  if (to.group == 8 && n_columns % 8 == 0) return scatter_groups<8>(panels, n_columns, n, to, first);
  scatter_groups<0>(panels, n_columns, n, to, first);
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

int64_t hidden_per_block(const MlpConfig& config) {
  return int64_t{config.n_hidden_layers} * config.n_neurons * kBlockRows;
}

}  // namespace

int64_t mlp_hidden_size(const MlpConfig& config, int64_t n) {
  return n_blocks(n) * hidden_per_block(config);
}

void mlp_forward(const MlpConfig& config, const float* params, Rows<const float> x, int64_t n, Rows<float> y,
                 float* hidden) {
  if (n == 0) return;
  const Packed packed = pack(config, params);
  const MlpKernels kernels = mlp_kernels();
#pragma omp parallel
  {
    std::vector<float> in(padded(config.n_in) * kBlockRows), out(padded(config.n_out) * kBlockRows);
    std::vector<float> own(hidden == nullptr ? hidden_per_block(config) : 0);
#pragma omp for schedule(dynamic, 4)
    for (int64_t b = 0; b < n_blocks(n); ++b) {
      const int64_t first = b * kBlockRows;
      const int n_rows = static_cast<int>(std::min<int64_t>(kBlockRows, n - first));
      gather(x, first, n_rows, config.n_in, in.data());
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
  const Packed packed = pack(config, params);
  const MlpKernels kernels = mlp_kernels();
  const int64_t n_runs = std::min(n_blocks(n), kMaxRuns);
  std::vector<float> sums(dparams == nullptr ? 0 : n_runs * packed.n_gradient, 0.f);
#pragma omp parallel
  {
    std::vector<float> in(padded(config.n_in) * kBlockRows), d_in(in.size());
    std::vector<float> d_out(padded(config.n_out) * kBlockRows), scratch(2 * config.n_neurons * kBlockRows);
    std::vector<float> own(hidden == nullptr ? hidden_per_block(config) : 0);
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
        for (int64_t run = 0; run < n_runs; ++run) sum += sums[run * packed.n_gradient + at];
        dparams[layers[l].first + int64_t{o} * n_in + i] += sum;
      }
  }
}

}  // namespace t3d::ops::cpu
