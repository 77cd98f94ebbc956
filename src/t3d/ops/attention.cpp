#include "t3d/ops/attention.h"

#include <ATen/ATen.h>

#include "t3d/core/error.h"
#include "t3d/ops/attention_kernels.h"
#include "t3d/ops/bf16_tensors.h"
#include "t3d/ops/matrix_unit.h"

namespace t3d::ops {
namespace {

cpu::AttentionStrides strides_of(const at::Tensor& x) {
  return {x.stride(0), x.stride(1), x.stride(2)};
}

}  // namespace

bool bf16_attention_runs(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const auto fits = [](const at::Tensor& x) {
    return x.is_cpu() && x.scalar_type() == at::kBFloat16 && x.dim() == 4 && x.stride(3) == 1 &&
           x.numel() > 0;
  };
  return matrix_unit() != MatrixUnit::None && fits(q) && fits(k) && fits(v);
}

at::Tensor bf16_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal) {
  T3D_CHECK(bf16_attention_runs(q, k, v), "q ", q.sizes(), " k ", k.sizes(), " v ", v.sizes());
  T3D_CHECK(q.size(3) == k.size(3) && k.size(2) == v.size(2) && q.size(1) == k.size(1) &&
                k.size(1) == v.size(1) && q.size(0) == k.size(0) && k.size(0) == v.size(0) &&
                (!causal || q.size(2) == k.size(2)),
            "q ", q.sizes(), " k ", k.sizes(), " v ", v.sizes());
  const auto out = at::empty({q.size(0), q.size(2), q.size(1), v.size(3)}, q.options()).transpose(1, 2);
  cpu::AttentionCall call{};
  call.n_items = q.size(0);
  call.n_heads = q.size(1);
  call.n_rows = q.size(2);
  call.n_columns = k.size(2);
  call.width = q.size(3);
  call.value_width = v.size(3);
  call.causal = causal;
  call.q = bf16_numbers(q);
  call.k = bf16_numbers(k);
  call.v = bf16_numbers(v);
  call.out = bf16_numbers_to_write(out);
  call.q_at = strides_of(q);
  call.k_at = strides_of(k);
  call.v_at = strides_of(v);
  call.out_at = strides_of(out);
  cpu::attention(call);
  return out;
}

}  // namespace t3d::ops
