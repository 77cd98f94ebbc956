#include "t3d/diffusion/attention.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <limits>

#include "t3d/core/error.h"
#include "t3d/diffusion/torch_compat.h"
#include "t3d/ops/attention.h"
#include "t3d/ops/matrix_unit.h"

namespace t3d::diffusion {
namespace {

constexpr int64_t kScores = 1 << 19;  // numbers in one block of scores: stays in a core's caches

at::ScalarType score_type(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

bool multiplies_fast(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  return ops::has_fast_matrix_unit() && ops::bf16_attention_runs(q, k, v);
}

/// Calls body(first item, items, first row, rows) for blocks that cover [items,n,m] scores.
template <class Body>
void for_blocks(int64_t n_items, int64_t n, int64_t m, const Body& body) {
  const int64_t rows = std::max<int64_t>(1, std::min(n, kScores / std::max<int64_t>(1, m)));
  const int64_t items = rows < n ? 1 : std::max<int64_t>(1, kScores / std::max<int64_t>(1, n * m));
  for (int64_t item = 0; item < n_items; item += items)
    for (int64_t row = 0; row < n; row += rows)
      body(item, std::min(items, n_items - item), row, std::min(rows, n - row));
}

/// Attention weights of a block of rows: softmax(scale q k^T), [items,rows,m].
at::Tensor block_weights(const at::Tensor& q, const at::Tensor& k, int64_t first_row, bool causal) {
  at::Tensor scores = at::bmm(q, k.transpose(1, 2));
  if (causal) {
    const auto hidden =
        at::ones({scores.size(1), scores.size(2)}, scores.options().dtype(at::kBool)).triu_(first_row + 1);
    scores.masked_fill_(hidden, -std::numeric_limits<double>::infinity());
  }
  return at::softmax(scores, -1);
}

struct BlockedAttention : torch::autograd::Function<BlockedAttention> {
  /// q [I,N,D], k [I,M,D], v [I,M,E]
  static at::Tensor forward(torch::autograd::AutogradContext* ctx, const at::Tensor& q, const at::Tensor& k,
                            const at::Tensor& v, bool causal) {
    ctx->save_for_backward({q, k, v});
    ctx->saved_data["causal"] = causal;
    const auto one_head = [](const at::Tensor& x) { return x.unsqueeze(1); };
    if (multiplies_fast(one_head(q), one_head(k), one_head(v)))
      return ops::bf16_attention(one_head(q), one_head(k), one_head(v), causal).squeeze(1).contiguous();
    const at::ScalarType type = score_type(q);
    const double scale = 1 / std::sqrt(static_cast<double>(q.size(2)));
    at::Tensor out = at::empty({q.size(0), q.size(1), v.size(2)}, q.options());
    for_blocks(q.size(0), q.size(1), k.size(1), [&](int64_t i, int64_t n_i, int64_t r, int64_t n_r) {
      const auto weights = block_weights(q.narrow(0, i, n_i).narrow(1, r, n_r).to(type) * scale,
                                         k.narrow(0, i, n_i).to(type), r, causal);
      out.narrow(0, i, n_i).narrow(1, r, n_r).copy_(at::bmm(weights, v.narrow(0, i, n_i).to(type)));
    });
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx,
                                                 torch::autograd::variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &q = saved[0], &k = saved[1], &v = saved[2];
    const bool causal = ctx->saved_data["causal"].toBool();
    const at::ScalarType type = score_type(q);
    const double scale = 1 / std::sqrt(static_cast<double>(q.size(2)));
    const c10::NoGradGuard no_grad;
    const at::Tensor grad_out = grads[0].contiguous();
    at::Tensor grad_q = at::empty(q.sizes(), q.options());
    at::Tensor grad_k = at::zeros(k.sizes(), k.options().dtype(type));
    at::Tensor grad_v = at::zeros(v.sizes(), v.options().dtype(type));
    for_blocks(q.size(0), q.size(1), k.size(1), [&](int64_t i, int64_t n_i, int64_t r, int64_t n_r) {
      const auto rows = [&](const at::Tensor& x) { return x.narrow(0, i, n_i).narrow(1, r, n_r).to(type); };
      const auto items = [&](const at::Tensor& x) { return x.narrow(0, i, n_i).to(type); };
      const auto q_block = rows(q) * scale, k_block = items(k), g = rows(grad_out);
      const auto weights = block_weights(q_block, k_block, r, causal);       // [i,r,M]
      auto grad_scores = at::bmm(g, items(v).transpose(1, 2));               // [i,r,M]
      const auto inner = (weights * grad_scores).sum(-1, /*keepdim=*/true);  // [i,r,1]
      grad_scores.sub_(inner).mul_(weights);
      grad_v.narrow(0, i, n_i).baddbmm_(weights.transpose(1, 2), g);
      grad_k.narrow(0, i, n_i).baddbmm_(grad_scores.transpose(1, 2), q_block);
      grad_q.narrow(0, i, n_i).narrow(1, r, n_r).copy_(at::bmm(grad_scores, k_block).mul_(scale));
    });
    return {grad_q, grad_k.to(k.scalar_type()), grad_v.to(v.scalar_type()), at::Tensor()};
  }
};

#if !T3D_HAS_FUSED_ATTENTION
/// As PyTorch's own formula, with the matrix stored: only reached with CUDA builds of LibTorch 1.13.
at::Tensor stored_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal) {
  const double scale = 1 / std::sqrt(static_cast<double>(q.size(3)));
  at::Tensor scores = at::matmul(q * scale, k.transpose(2, 3)).to(score_type(q));
  if (causal) {
    const auto hidden =
        at::ones({scores.size(2), scores.size(3)}, scores.options().dtype(at::kBool)).triu_(1);
    scores = scores.masked_fill(hidden, -std::numeric_limits<double>::infinity());
  }
  return at::matmul(at::softmax(scores, -1).to(v.scalar_type()), v);
}
#endif

}  // namespace

at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal) {
  T3D_CHECK(q.dim() == 4 && k.dim() == 4 && v.dim() == 4, "q, k and v must be [B,H,N,D]");
  T3D_CHECK(q.size(3) == k.size(3) && k.size(2) == v.size(2), "q ", q.sizes(), " k ", k.sizes(), " v ",
            v.sizes());
  T3D_CHECK(!causal || q.size(2) == k.size(2), "causal attention over ", q.size(2), " x ", k.size(2));
  if (!q.is_cpu()) {
#if T3D_HAS_FUSED_ATTENTION
    return at::scaled_dot_product_attention(q, k, v, {}, 0.0, causal);
#else
    return stored_attention(q, k, v, causal);
#endif
  }
  const bool records =
      at::GradMode::is_enabled() && (q.requires_grad() || k.requires_grad() || v.requires_grad());
  if (!records && multiplies_fast(q, k, v)) return ops::bf16_attention(q, k, v, causal);
  const auto rows = [](const at::Tensor& x) { return x.stride(3) == 1 ? x : x.contiguous(); };
  if (q.scalar_type() == at::kFloat && q.numel() > 0 && k.numel() > 0 && v.numel() > 0)
    return ops::float_attention(rows(q), rows(k), rows(v), causal);
  const int64_t n_items = q.size(0) * q.size(1);
  const auto items = [n_items](const at::Tensor& x) { return x.reshape({n_items, x.size(2), x.size(3)}); };
  return BlockedAttention::apply(items(q), items(k), items(v), causal)
      .view({q.size(0), q.size(1), q.size(2), v.size(3)});
}

at::Tensor split_heads(const at::Tensor& x, int64_t n_heads) {
  return x.reshape({x.size(0), x.size(1), n_heads, x.size(2) / n_heads}).transpose(1, 2);
}

at::Tensor join_heads(const at::Tensor& x) {
  return x.transpose(1, 2).reshape({x.size(0), x.size(2), x.size(1) * x.size(3)});
}

}  // namespace t3d::diffusion
