#pragma once

#include "t3d/ops/attention_kernels.h"

namespace t3d::ops::cpu {

/// ops::float_attention; for any CPU.
struct FloatAttentionCall {
  int64_t n_items, n_heads, n_rows, n_columns;  // columns of the scores: rows of k and v
  int64_t width, value_width;                   // D, E
  bool causal;
  const float *q, *k, *v;
  float* out;
  AttentionStrides q_at, k_at, v_at, out_at;
  float* log_sums;  // [items][heads][rows]: log2 of each row's sum of exponentials of its scores, or null
};
void float_attention(const FloatAttentionCall& call);

/// Its gradients. The call is the forward one, out and log_sums as it left them.
struct FloatAttentionAdjointCall {
  FloatAttentionCall forward;
  const float* d_out;
  float *d_q, *d_k, *d_v;
  AttentionStrides d_out_at, d_q_at, d_k_at, d_v_at;
};
void float_attention_adjoint(const FloatAttentionAdjointCall& call);

}  // namespace t3d::ops::cpu
