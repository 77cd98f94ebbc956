#pragma once

#include <ATen/core/Tensor.h>

namespace t3d::diffusion {

/// softmax(q k^T / sqrt(D)) v for every item and head, Vaswani et al. 2017, eq. 1.
///
///   q        [B,H,N,D]
///   k, v     [B,H,M,D], [B,H,M,E]   same type and device as q
///   causal   row i sees columns 0..i; N must equal M
///   returns  [B,H,N,E] in q's type
///
/// Scores and softmax are in single precision (double for double), which is what `upcast_attention` in a
/// model's config asks for. Neither pass stores the N x M matrix: on the CPU blocks of whole rows are
/// computed, at most 2 MiB of scores at a time, and computed again in the backward pass; float goes through
/// ops::float_attention, and bfloat16 forward through ops::bf16_attention where the CPU multiplies it; on CUDA LibTorch's fused kernel is
/// used. The gradient cannot be differentiated again on the CPU.
at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal = false);

/// [B,N,H*D] -> [B,H,N,D] and back.
at::Tensor split_heads(const at::Tensor& x, int64_t n_heads);
at::Tensor join_heads(const at::Tensor& x);

}  // namespace t3d::diffusion
