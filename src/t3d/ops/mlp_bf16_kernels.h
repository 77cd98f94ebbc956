#pragma once

#include <cstdint>
#include <vector>

#include "t3d/ops/mlp_config.h"
#include "t3d/ops/rows.h"

/// What mlp_bf16_cpu.cpp (packing, threads) asks of mlp_bf16_kernels.cpp: a range of samples through a small
/// network, products of bfloat16 with sums in float.
///
/// Rounded to bfloat16 (to the nearest, ties away from zero) are x, the weights, every hidden activation and,
/// on the way back, the gradient of every layer's outputs. The layout of operands is that of
/// bfloat16_tiles.h.
namespace t3d::ops::cpu {

struct Bf16Layer {
  int n_in, n_out;
  const uint16_t* forward;   ///< left tiles of W: [n_out in 16s, even][n_in in 32s]
  const uint16_t* backward;  ///< left tiles of its transpose: [n_in in 16s, even][n_out in 32s]
  int64_t gradient;  ///< floats before this layer's sum tiles [n_out in 16s][n_in in 16s, even] of gradients
};

struct Bf16Network {
  std::vector<Bf16Layer> layers;
  Activation activation = Activation::None;
};

struct Bf16Kernels {
  /// y of the samples begin..end. workspace: bf16_workspace_bytes, on a cache line's boundary.
  void (*forward)(const Bf16Network& network, Rows<const float> x, int64_t begin, int64_t end, Rows<float> y,
                  void* workspace) = nullptr;
  /// dx (null: not wanted) of the samples begin..end, and the sums of their weight gradients (written, not
  /// added to; null: not wanted). y: null where there is no output activation.
  void (*backward)(const Bf16Network& network, Rows<const float> x, int64_t begin, int64_t end,
                   Rows<const float> y, Rows<const float> dy, Rows<float> dx, float* gradient,
                   void* workspace) = nullptr;
};

/// Those of matrix_unit(); null where there is none.
Bf16Kernels bf16_kernels();
int64_t bf16_workspace_bytes(const std::vector<Bf16Layer>& layers);

/// Samples that pass through the layers together. Ranges are best cut at its multiples.
constexpr int kBf16BlockRows = 128;

}  // namespace t3d::ops::cpu
