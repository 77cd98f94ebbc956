#include "t3d/mesh/rows.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "t3d/core/error.h"

namespace t3d::mesh {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

template <class T>
void add_rows(const at::Tensor& values, const int64_t* index, at::Tensor& sums) {
  const int64_t n = values.size(0), width = values.size(1);
  const T* from = values.data_ptr<T>();
  T* to = sums.data_ptr<T>();
  for (int64_t i = 0; i < n; ++i)
    for (int64_t k = 0; k < width; ++k) to[index[i] * width + k] += from[i * width + k];
}

at::Tensor summed(const at::Tensor& values, const at::Tensor& index, int64_t n_rows) {
  at::Tensor sums = at::zeros({n_rows, values.size(1)}, values.options());
  if (!values.device().is_cpu()) return sums.index_put_({index}, values, /*accumulate=*/true);
  const at::Tensor v = values.contiguous(), i = index.contiguous();
  if (v.scalar_type() == at::kDouble)
    add_rows<double>(v, i.data_ptr<int64_t>(), sums);
  else
    add_rows<float>(v, i.data_ptr<int64_t>(), sums);
  return sums;
}

struct GatherRows : public Function<GatherRows> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& index) {
    ctx->save_for_backward({index});
    ctx->saved_data["n_rows"] = x.size(0);
    return x.index_select(0, index);
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    return {sum_rows(gradients[0], ctx->get_saved_variables()[0], ctx->saved_data["n_rows"].toInt()), {}};
  }
};

struct SumRows : public Function<SumRows> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& values, const at::Tensor& index,
                            int64_t n_rows) {
    ctx->save_for_backward({index});
    return summed(values, index, n_rows);
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    return {gather_rows(gradients[0], ctx->get_saved_variables()[0]), {}, {}};
  }
};

}  // namespace

at::Tensor gather_rows(const at::Tensor& x, const at::Tensor& index) {
  T3D_CHECK(x.dim() == 2 && index.dim() == 1, "x ", x.sizes(), " must be [N,C], index ", index.sizes(),
            " [M]");
  return GatherRows::apply(x, index);
}

at::Tensor sum_rows(const at::Tensor& values, const at::Tensor& index, int64_t n_rows) {
  T3D_CHECK(values.dim() == 2 && index.dim() == 1 && values.size(0) == index.size(0), "values ",
            values.sizes(), " must be [M,C], index ", index.sizes(), " [M]");
  T3D_CHECK(values.scalar_type() == at::kFloat || values.scalar_type() == at::kDouble,
            "values must be float or double, not ", values.scalar_type());
  return SumRows::apply(values, index, n_rows);
}

}  // namespace t3d::mesh
