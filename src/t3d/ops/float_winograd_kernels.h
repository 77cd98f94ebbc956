#pragma once

#include <cstdint>

#include "t3d/ops/float_product_kernels.h"

namespace t3d::ops::cpu {

/// Convolutions of 3x3 and stride 1 in single precision with a quarter of the multiplications: Lavin and Gray
/// 2016, arXiv:1509.09308, F(4x4, 3x3). Windows of 6x6 pixels and the weights go through linear maps, where the
/// convolution is 36 plain products; a third map gives 4x4 pixels of the result.
constexpr int64_t kWinogradTile = 4, kWinogradTaps = 36;

/// The map of the weights: a kernel w [3,3] becomes M w M^T [6,6].
constexpr double kWinogradMap[6][3] = {{1. / 4, 0, 0},
                                       {-1. / 6, -1. / 6, -1. / 6},
                                       {-1. / 6, 1. / 6, -1. / 6},
                                       {1. / 24, 1. / 12, 1. / 6},
                                       {1. / 24, -1. / 12, 1. / 6},
                                       {0, 0, 1}};

/// out = after(convolution + bias ...), channels last in and out, for any CPU.
struct FloatWinogradCall {
  Simd simd;                       // of the packed factor's panels
  const float* picture;            // the upper left corner of the first window
  int64_t pixel, row, item;        // floats from each to the next
  int64_t n_items, height, width;  // of the result: multiples of 4
  int64_t n_in, n_out;
  const FloatPanels* panels;
  const float* packed;     // [panel][36][channel][columns of the panel]
  const float* bias;       // [n_out, the last vector filled up], or null
  const float* item_bias;  // [items][n_out], or null
  const float* residual;   // as out, added last, or null
  float* out;              // [items][height][width][n_out]
};
void float_winograd(const FloatWinogradCall& call);

}  // namespace t3d::ops::cpu
