#include "t3d/ops/attention.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "t3d/core/error.h"
#include "t3d/ops/attention_kernels.h"
#include "t3d/ops/bf16_tensors.h"
#include "t3d/ops/float_attention_kernels.h"
#include "t3d/ops/matrix_unit.h"

namespace t3d::ops {
namespace {

cpu::AttentionStrides strides_of(const at::Tensor& x) {
  return {x.stride(0), x.stride(1), x.stride(2)};
}

bool has_rows(const at::Tensor& x, at::ScalarType type) {
  return x.is_cpu() && x.scalar_type() == type && x.dim() == 4 && x.stride(3) == 1 && x.numel() > 0;
}

void check_sizes(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal) {
  T3D_CHECK(q.size(3) == k.size(3) && k.size(2) == v.size(2) && q.size(1) == k.size(1) &&
                k.size(1) == v.size(1) && q.size(0) == k.size(0) && k.size(0) == v.size(0) &&
                (!causal || q.size(2) == k.size(2)),
            "q ", q.sizes(), " k ", k.sizes(), " v ", v.sizes());
}

/// [B,H,N,width] laid out as [B,N,H,width].
at::Tensor empty_heads(const at::Tensor& like, int64_t n_rows, int64_t width) {
  return at::empty({like.size(0), n_rows, like.size(1), width}, like.options()).transpose(1, 2);
}

/// What both calls have in common.
template <class Call>
Call sizes_of(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& out,
              bool causal) {
  Call call{};
  call.n_items = q.size(0);
  call.n_heads = q.size(1);
  call.n_rows = q.size(2);
  call.n_columns = k.size(2);
  call.width = q.size(3);
  call.value_width = v.size(3);
  call.causal = causal;
  call.q_at = strides_of(q);
  call.k_at = strides_of(k);
  call.v_at = strides_of(v);
  call.out_at = strides_of(out);
  return call;
}

struct FloatAttention : torch::autograd::Function<FloatAttention> {
  static cpu::FloatAttentionCall call_of(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                         const at::Tensor& out, const at::Tensor& log_sums, bool causal) {
    auto call = sizes_of<cpu::FloatAttentionCall>(q, k, v, out, causal);
    call.q = q.data_ptr<float>();
    call.k = k.data_ptr<float>();
    call.v = v.data_ptr<float>();
    call.out = out.data_ptr<float>();
    call.log_sums = log_sums.data_ptr<float>();
    return call;
  }

  static at::Tensor forward(torch::autograd::AutogradContext* ctx, const at::Tensor& q, const at::Tensor& k,
                            const at::Tensor& v, bool causal) {
    const auto out = empty_heads(q, q.size(2), v.size(3));
    const auto log_sums = at::empty({q.size(0), q.size(1), q.size(2)}, q.options());
    cpu::float_attention(call_of(q, k, v, out, log_sums, causal));
    ctx->save_for_backward({q, k, v, out, log_sums});
    ctx->saved_data["causal"] = causal;
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &q = saved[0], &k = saved[1], &v = saved[2];
    const at::Tensor d_out = gradients[0].stride(3) == 1 ? gradients[0] : gradients[0].contiguous();
    const at::Tensor d_q = empty_heads(q, q.size(2), q.size(3)), d_k = empty_heads(k, k.size(2), k.size(3)),
                     d_v = empty_heads(v, v.size(2), v.size(3));
    cpu::FloatAttentionAdjointCall call{};
    call.forward = call_of(q, k, v, saved[3], saved[4], ctx->saved_data["causal"].toBool());
    call.d_out = d_out.data_ptr<float>();
    call.d_q = d_q.data_ptr<float>();
    call.d_k = d_k.data_ptr<float>();
    call.d_v = d_v.data_ptr<float>();
    call.d_out_at = strides_of(d_out);
    call.d_q_at = strides_of(d_q);
    call.d_k_at = strides_of(d_k);
    call.d_v_at = strides_of(d_v);
    cpu::float_attention_adjoint(call);
    return {d_q, d_k, d_v, at::Tensor()};
  }
};

}  // namespace

bool bf16_attention_runs(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const auto fits = [](const at::Tensor& x) { return has_rows(x, at::kBFloat16); };
  return matrix_unit() != MatrixUnit::None && fits(q) && fits(k) && fits(v);
}

at::Tensor bf16_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal) {
  T3D_CHECK(bf16_attention_runs(q, k, v), "q ", q.sizes(), " k ", k.sizes(), " v ", v.sizes());
  check_sizes(q, k, v, causal);
  const auto out = empty_heads(q, q.size(2), v.size(3));
  auto call = sizes_of<cpu::AttentionCall>(q, k, v, out, causal);
  call.q = bf16_numbers(q);
  call.k = bf16_numbers(k);
  call.v = bf16_numbers(v);
  call.out = bf16_numbers_to_write(out);
  cpu::attention(call);
  return out;
}

bool float_attention_runs(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const auto fits = [](const at::Tensor& x) { return has_rows(x, at::kFloat); };
  return fits(q) && fits(k) && fits(v);
}

at::Tensor float_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal) {
  T3D_CHECK(float_attention_runs(q, k, v), "q ", q.sizes(), " k ", k.sizes(), " v ", v.sizes());
  check_sizes(q, k, v, causal);
  return FloatAttention::apply(q, k, v, causal);
}

}  // namespace t3d::ops
