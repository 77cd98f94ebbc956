#pragma once

#include <cstdint>

namespace t3d::ops::cpu {

/// Where the number [item,head,row,column] of one of attention's tensors lies; columns are adjacent.
struct AttentionStrides {
  int64_t item, head, row;
};

/// See ops/attention.h. Needs a matrix unit.
struct AttentionCall {
  int64_t n_items, n_heads, n_rows, n_columns;  // columns of the scores: rows of k and v
  int64_t width, value_width;                   // D, E
  bool causal;
  const uint16_t *q, *k, *v;
  uint16_t* out;
  AttentionStrides q_at, k_at, v_at, out_at;
};
void attention(const AttentionCall& call);

}  // namespace t3d::ops::cpu
