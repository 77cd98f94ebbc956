#pragma once

#include <cstdint>

namespace t3d::ops::cpu {

/// Rows of the left factor come in tiles of this many, each tile evenly spaced in memory.
constexpr int64_t kTileRows = 16;

/// out[row] = after(sum over taps and channels of left[row + tap] * packed + bias ...): linear layers (one
/// tap) and convolutions over channels-last pictures with a border of zeros (a tap per cell of the kernel).
/// Needs a matrix unit; all numbers are bfloat16 unless named otherwise.
struct ProductCall {
  int64_t n_tiles;               // even
  const uint16_t* const* tiles;  // [n_tiles]: the first row of each, at the first tap
  int64_t left_stride;           // numbers from one row of a tile to the next
  const int32_t* out_rows;       // [n_tiles * kTileRows]: where the result goes; -1: nowhere
  int64_t n_taps;
  const int64_t* taps;    // [n_taps]: numbers from the first tap to each
  int64_t steps_per_tap;  // of 32 channels
  int64_t n_columns;      // of the packed factor, which covers them in panels of 32
  const uint16_t* packed;
  const float* bias;       // [panels * 32], or null
  const float* item_bias;  // [items][n_columns] added to every row of the item, or null
  int64_t rows_per_item;
  bool is_single;        // residual and out are in single precision
  const void* residual;  // [rows] at residual_stride, added last, or null
  int64_t residual_stride;
  /// Columns are pairs of 16 values and 16 gates: value * gelu(gate), half as many columns.
  bool is_gated;
  void* out;
  int64_t out_stride;
};
void product(const ProductCall& call);

/// weight [n_rows][width], `stride` numbers from row to row -> packed[panel of 32 rows][tap][step], of which
/// this fills one tap.
void pack_weight(const uint16_t* weight, int64_t stride, int64_t n_rows, int64_t width, int64_t tap,
                 int64_t n_taps, uint16_t* packed);
/// Back again.
void unpack_weight(const uint16_t* packed, int64_t n_rows, int64_t width, int64_t tap, int64_t n_taps,
                   uint16_t* weight, int64_t stride);

}  // namespace t3d::ops::cpu
