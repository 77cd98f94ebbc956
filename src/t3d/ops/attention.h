#pragma once

#include <ATen/core/Tensor.h>

namespace t3d::ops {

/// Whether bf16_attention takes these: bfloat16 on a CPU that multiplies it (matrix_unit), rows contiguous.
bool bf16_attention_runs(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

/// softmax(q k^T / sqrt(D)) v for every item and head, without gradients, in one pass over blocks of columns:
/// Milakov and Gimelshein 2018, arXiv:1805.02867, algorithm 3, on blocks as Dao et al. 2022,
/// arXiv:2205.14135.
///
///   q        [B,H,N,D]  bfloat16; any strides but along D
///   k, v     [B,H,M,D], [B,H,M,E]
///   causal   row i sees columns 0..i; N must equal M
///   returns  [B,H,N,E], laid out as [B,N,H,E]
///
/// Scores, their exponentials and all sums are in single precision; the exponentials are rounded to bfloat16
/// for the product with v. Memory beyond the result: k and v once more, and 150 KiB a thread for D = E = 64.
at::Tensor bf16_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal);

/// Whether float_attention takes these: float on the CPU, rows contiguous.
bool float_attention_runs(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

/// The same in single precision throughout, on any CPU, differentiable once. The gradients compute the scores
/// again, block by block. Memory beyond the result: k and v once more, and 0.2 MiB a thread for D = E = 64;
/// for gradients k and v two to nine times, and a number a row.
at::Tensor float_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal);

}  // namespace t3d::ops
