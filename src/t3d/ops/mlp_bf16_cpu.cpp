#include <algorithm>
#include <cstring>
#include <vector>

#include "t3d/ops/aligned.h"
#include "t3d/ops/mlp_bf16.h"
#include "t3d/ops/mlp_bf16_kernels.h"
#include "t3d/ops/tile_sizes.h"

namespace t3d::ops::cpu {
namespace {

/// Weight-gradient sums: the batch is cut into runs of whole blocks, whose sums are added in order, so that
/// the result is the same for any number of threads. Many runs would cost more to add than to make.
constexpr int64_t kMaxRuns = 32, kBlocksPerRun = 16;
constexpr int64_t kBlocksPerJob = 16;  ///< forward

/// To the nearest bfloat16, ties away from zero.
uint16_t to_bfloat16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return static_cast<uint16_t>((bits + 0x8000u) >> 16);
}

/// Weights as both passes read them.
struct Packed {
  Bf16Network network;
  Aligned<uint16_t> data{0};
  int64_t n_gradient = 0;

  Packed(const MlpConfig& config, const float* params) {
    const std::vector<MlpLayer> layers = mlp_layers(config);
    int64_t total = 0;
    for (const MlpLayer& l : layers) total += 2 * size(l);
    data = Aligned<uint16_t>(total);
    std::fill_n(data.data(), total, uint16_t{0});
    uint16_t* to = data.data();
    for (const MlpLayer& l : layers) {
      uint16_t *forward = to, *backward = to + size(l);
      const int depth_in = in_32s(l.n_in), depth_out = in_32s(l.n_out);
      for (int o = 0; o < l.n_out; ++o)
        for (int i = 0; i < l.n_in; ++i) {
          const uint16_t w = to_bfloat16(params[l.first + int64_t{o} * l.n_in + i]);
          forward[(o / 16 * depth_in + i / 32) * kTileNumbers + o % 16 * 32 + i % 32] = w;
          backward[(i / 16 * depth_out + o / 32) * kTileNumbers + i % 16 * 32 + o % 32] = w;
        }
      network.layers.push_back({l.n_in, l.n_out, forward, backward, n_gradient});
      n_gradient += int64_t{in_16s(l.n_out)} * 2 * in_32s(l.n_in) * kTileSums;
      to += 2 * size(l);
    }
    network.activation = config.output_activation;
  }

  static int64_t size(const MlpLayer& l) {
    return 2 * int64_t{in_32s(l.n_in)} * in_32s(l.n_out) * kTileNumbers;
  }
};

int64_t n_blocks(int64_t n) {
  return (n + kBf16BlockRows - 1) / kBf16BlockRows;
}

/// dparams += the runs' sums.
void add_gradients(const std::vector<MlpLayer>& layers, const Packed& packed, const float* sums,
                   int64_t n_runs, float* dparams) {
  for (size_t l = 0; l < layers.size(); ++l) {
    const int n_in = layers[l].n_in, n_columns = 2 * in_32s(n_in);
#pragma omp parallel for schedule(static)
    for (int o = 0; o < layers[l].n_out; ++o)
      for (int i0 = 0; i0 < n_in; i0 += 16) {
        const float* tile = sums + packed.network.layers[l].gradient +
                            (o / 16 * n_columns + i0 / 16) * kTileSums + o % 16 * 16;
        float sum[16] = {};
        for (int64_t run = 0; run < n_runs; ++run)
          for (int i = 0; i < 16; ++i) sum[i] += tile[run * packed.n_gradient + i];
        for (int i = i0; i < std::min(n_in, i0 + 16); ++i)
          dparams[layers[l].first + int64_t{o} * n_in + i] += sum[i - i0];
      }
  }
}

}  // namespace

bool mlp_bf16_available() {
  return bf16_kernels().forward != nullptr;
}

void mlp_bf16_forward(const MlpConfig& config, const float* params, Rows<const float> x, int64_t n,
                      Rows<float> y) {
  const Packed packed(config, params);
  const Bf16Kernels kernels = bf16_kernels();
  const int64_t workspace_bytes = bf16_workspace_bytes(packed.network.layers);
  const int64_t n_jobs = (n_blocks(n) + kBlocksPerJob - 1) / kBlocksPerJob;
#pragma omp parallel
  {
    const Aligned<char> workspace(workspace_bytes);
#pragma omp for schedule(dynamic, 1)
    for (int64_t job = 0; job < n_jobs; ++job) {
      const int64_t begin = job * kBlocksPerJob * kBf16BlockRows;
      kernels.forward(packed.network, x, begin, std::min(n, begin + kBlocksPerJob * kBf16BlockRows), y,
                      workspace.data());
    }
  }
}

void mlp_bf16_backward(const MlpConfig& config, const float* params, Rows<const float> x, int64_t n,
                       Rows<const float> y, Rows<const float> dy, Rows<float> dx, float* dparams) {
  const Packed packed(config, params);
  const Bf16Kernels kernels = bf16_kernels();
  const int64_t workspace_bytes = bf16_workspace_bytes(packed.network.layers);
  const int64_t n_runs = std::clamp<int64_t>(n_blocks(n) / kBlocksPerRun, 1, kMaxRuns);
  const Aligned<float> sums(dparams == nullptr ? 0 : n_runs * packed.n_gradient);
#pragma omp parallel
  {
    const Aligned<char> workspace(workspace_bytes);
#pragma omp for schedule(dynamic, 1)
    for (int64_t run = 0; run < n_runs; ++run) {
      const int64_t begin = run * n_blocks(n) / n_runs * kBf16BlockRows,
                    end = (run + 1) * n_blocks(n) / n_runs * kBf16BlockRows;
      kernels.backward(packed.network, x, begin, std::min(n, end), y, dy, dx,
                       dparams == nullptr ? nullptr : sums.data() + run * packed.n_gradient,
                       workspace.data());
    }
  }
  if (dparams != nullptr) add_gradients(mlp_layers(config), packed, sums.data(), n_runs, dparams);
}

}  // namespace t3d::ops::cpu
