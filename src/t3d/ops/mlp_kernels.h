#pragma once

#include <cstdint>
#include <vector>

/// What mlp_cpu.cpp (packing, threads) asks of mlp_kernels.cpp (instruction sets): 96 samples through all
/// layers.
///
/// Activations and packed weights lie in panels of 16 columns, so that every address inside a tile is a
/// constant offset: activations as [panel][96 samples][16], a matrix of K rows as [panel][K][16]. Columns
/// beyond a layer's width are zero.
namespace t3d::ops::cpu {

constexpr int kPanel = 16, kBlockRows = 96;
constexpr int kPanelFloats = kPanel * kBlockRows;

inline int n_panels(int columns) {
  return (columns + kPanel - 1) / kPanel;
}
inline int padded(int columns) {
  return n_panels(columns) * kPanel;
}

struct PackedLayer {
  int n_in, n_out;
  const float* forward;   ///< [n_out panels][n_in padded][16]: W transposed
  const float* backward;  ///< [n_in panels][n_out padded][16]: W
  int64_t gradient;  ///< where this layer's [n_in panels][n_out padded][16] begins in the gradient buffer
};

struct MlpKernels {
  /// x: n_in panels; hidden: one run of n_neurons/16 panels per hidden layer, written; y: n_out panels,
  /// written (before the output activation).
  void (*forward)(const std::vector<PackedLayer>& layers, const float* x, float* hidden, float* y);
  /// dy: n_out panels, before the output activation. scratch: two runs of n_neurons/16 panels.
  /// dx: n_in panels, written, or null. gradient: added to, or null.
  void (*backward)(const std::vector<PackedLayer>& layers, const float* x, const float* hidden,
                   const float* dy, float* scratch, float* dx, float* gradient);
};

/// Those of the instruction set that simd() names.
MlpKernels mlp_kernels();

}  // namespace t3d::ops::cpu
