#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "t3d/ops/bordered_frame.h"
#include "t3d/ops/norm_kernels.h"

/// Group normalisation of pictures and its gradient in passes over pieces of them, whatever kernels add the
/// pieces up and write them: in bfloat16 (norm_kernels.cpp) or single precision (float_norm_kernels.cpp). For
/// kernel files only.
namespace t3d::ops::cpu {

constexpr int64_t kMostChunks = 32;  // pieces of one picture that are summed apart

inline float number(float x) {
  return x;
}
inline float number(uint16_t x) {
  const uint32_t bits = uint32_t{x} << 16;
  float wide;
  std::memcpy(&wide, &bits, sizeof wide);
  return wide;
}

/// Factor and offset of each channel of one item, from the chunks' sums.
template <class X>
void combine(const GroupNormCall& g, const X* item, const float* partial, int64_t n_chunks, float* factor,
             float* offset, float* statistics) {
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
      const double difference = sum / static_cast<double>(pixels);
      channel_mean[i] = number(item[c]) + difference;
      deviation[i] = square / static_cast<double>(pixels) - difference * difference;
      mean += channel_mean[i] / static_cast<double>(in_group);
    }
    double variance = 0;
    for (int64_t i = 0; i < in_group; ++i)
      variance += (deviation[i] + (channel_mean[i] - mean) * (channel_mean[i] - mean)) /
                  static_cast<double>(in_group);
    const double scale = 1 / std::sqrt(std::max(variance, 0.0) + static_cast<double>(g.eps));
    if (statistics != nullptr) {
      statistics[2 * group] = static_cast<float>(mean);
      statistics[2 * group + 1] = static_cast<float>(scale);
    }
    for (int64_t i = 0; i < in_group; ++i) {
      const int64_t c = group * in_group + i;
      factor[c] = static_cast<float>(scale * g.weight[c]);
      offset[c] = static_cast<float>(g.bias[c] - mean * scale * g.weight[c]);
    }
  }
}

/// Of one item, by channel: x_hat = x scale + shift, z = x_hat weight + bias.
struct ChannelConstants {
  const float *scale, *shift, *weight, *bias;
};

template <class X, class Y, class Kernels>
void adjoint_of_pictures(const GroupNormAdjointCall& g, const Kernels& kernels) {
  const X* const x = static_cast<const X*>(g.x.first);
  const Y* const dy = static_cast<const Y*>(g.dy.first);
  X* const dx = static_cast<X*>(g.dx);
  const int64_t pixels = g.n_pixels, channels = g.n_channels, in_group = channels / g.n_groups;
  const int64_t chunk = std::max<int64_t>(8, (pixels + kMostChunks - 1) / kMostChunks);
  const int64_t n_chunks = (pixels + chunk - 1) / chunk;
  std::vector<float> partial(g.n_items * n_chunks * 2 * channels), constants(g.n_items * 4 * channels);
  const auto of_item = [&](int64_t item) {
    const float* c = constants.data() + item * 4 * channels;
    return ChannelConstants{c, c + channels, g.weight, g.bias};
  };
#pragma omp parallel if (g.n_items * pixels * channels > (1 << 14))
  {
#pragma omp for schedule(static)
    for (int64_t item = 0; item < g.n_items; ++item)
      for (int64_t c = 0; c < channels; ++c) {
        const float* of_group = g.statistics + 2 * (item * g.n_groups + c / in_group);
        constants[item * 4 * channels + c] = of_group[1];
        constants[(item * 4 + 1) * channels + c] = -of_group[0] * of_group[1];
      }
#pragma omp for schedule(static)
    for (int64_t i = 0; i < g.n_items * n_chunks; ++i) {
      const int64_t item = i / n_chunks, first = i % n_chunks * chunk,
                    at = (item * pixels + first) * channels;
      kernels.add_up_adjoint(x + at, dy + at, std::min(chunk, pixels - first), channels, g.with_silu, of_item(item),
                     partial.data() + i * 2 * channels);
    }
#pragma omp for schedule(static)
    for (int64_t item = 0; item < g.n_items; ++item) {
      float* sums = g.sums + item * 2 * channels;
      std::fill_n(sums, 2 * channels, 0.f);
      for (int64_t k = 0; k < n_chunks; ++k)
        for (int64_t c = 0; c < 2 * channels; ++c)
          sums[c] += partial[(item * n_chunks + k) * 2 * channels + c];
      float* means = constants.data() + (item * 4 + 2) * channels;
      for (int64_t half = 0; half < 2; ++half)
        for (int64_t group = 0; group < g.n_groups; ++group) {
          double mean = 0;
          for (int64_t c = group * in_group; c < (group + 1) * in_group; ++c)
            mean += static_cast<double>(g.weight[c]) * sums[half * channels + c];
          std::fill_n(means + half * channels + group * in_group, in_group,
                      static_cast<float>(mean / static_cast<double>(in_group * pixels)));
        }
    }
#pragma omp for schedule(static)
    for (int64_t i = 0; i < g.n_items * n_chunks; ++i) {
      const int64_t item = i / n_chunks, first = i % n_chunks * chunk,
                    at = (item * pixels + first) * channels;
      kernels.apply_adjoint(x + at, dy + at, std::min(chunk, pixels - first), channels, g.with_silu, of_item(item),
                    constants.data() + (item * 4 + 2) * channels, dx + at);
    }
  }
}

template <class X, class Number, class Kernels>
void norm_pictures(const GroupNormCall& g, const Kernels& kernels) {
  const X* const x = static_cast<const X*>(g.x.first);
  Number* const out = static_cast<Number*>(g.out);
  const int64_t pixels = g.height * g.width, channels = g.n_channels;
  const int64_t chunk = std::max<int64_t>(8, (pixels + kMostChunks - 1) / kMostChunks);
  const int64_t n_chunks = (pixels + chunk - 1) / chunk;
  std::vector<float> partial(g.n_items * n_chunks * 2 * channels), factors(g.n_items * 2 * channels);
  const Frame frame{g.height, g.width, g.border, g.out_channels};
#pragma omp parallel if (g.n_items * pixels * channels > (1 << 14))
  {
#pragma omp for schedule(static)
    for (int64_t i = 0; i < g.n_items * n_chunks; ++i) {
      const X* item = x + i / n_chunks * pixels * channels;
      const int64_t first = i % n_chunks * chunk;
      float* sums = partial.data() + i * 2 * channels;
      kernels.add_up(item + first * channels, std::min(chunk, pixels - first), channels, item, sums, sums + channels);
    }
#pragma omp for schedule(static)
    for (int64_t i = 0; i < g.n_items; ++i) {
      float* factor = factors.data() + i * 2 * channels;
      combine(g, x + i * pixels * channels, partial.data() + i * n_chunks * 2 * channels, n_chunks, factor,
              factor + channels, g.statistics != nullptr ? g.statistics + i * 2 * g.n_groups : nullptr);
      clear_edges(frame, out + i * frame.item());
    }
#pragma omp for schedule(static)
    for (int64_t i = 0; i < g.n_items * g.height; ++i) {
      const int64_t item = i / g.height, y = i % g.height;
      const float* factor = factors.data() + item * 2 * channels;
      kernels.apply_row(x + i * g.width * channels, g.width, channels, factor, factor + channels, g.with_silu,
                g.out_channels, out + item * frame.item() + frame.pixel(y, 0));
    }
  }
}

}  // namespace t3d::ops::cpu
