#pragma once

#include <cstdint>
#include <vector>

#include "t3d/ops/simd.h"

namespace t3d::ops::cpu {

/// Rows of the left factor come in tiles of this many, each tile evenly spaced in memory.
constexpr int64_t kFloatTileRows = 8;

/// Panels of the packed factor: each of 1 to 3 vectors of columns, so that a tile's sums fill the registers.
struct FloatPanels {
  int64_t vector;              // floats
  std::vector<int64_t> first;  // column of each panel, and the end
  int64_t size() const { return static_cast<int64_t>(first.size()) - 1; }
};
/// Gated columns are pairs of a vector of values and a vector of gates: panels of one pair.
FloatPanels float_panels(Simd simd, int64_t n_columns, bool is_gated);

/// The product of product_kernels.h in single precision, for any CPU:
/// out[row] = after(sum over taps and channels of left[row + tap] * packed + bias ...).
struct FloatProductCall {
  Simd simd;                  // of the packed factor's panels
  int64_t n_tiles;
  const float* const* tiles;  // [n_tiles]: the first row of each, at the first tap
  int64_t left_stride;        // numbers from one row of a tile to the next
  const int32_t* out_rows;    // [n_tiles * kFloatTileRows]: where the result goes; -1: nowhere
  int64_t n_taps;
  const int64_t* taps;  // [n_taps]: numbers from the first tap to each
  int64_t tap_width;    // channels
  int64_t n_columns;
  const FloatPanels* panels;
  const float* packed;     // [panel][tap][channel][columns of the panel]
  const float* bias;       // [columns, the last vector filled up], or null
  const float* item_bias;  // [items][n_columns] added to every row of the item, or null
  int64_t rows_per_item;
  const float* residual;  // [rows] at residual_stride, added last, or null
  int64_t residual_stride;
  /// value * gelu(gate), half as many columns.
  bool is_gated;
  float* out;
  int64_t out_stride;
};
void float_product(const FloatProductCall& call);

}  // namespace t3d::ops::cpu
