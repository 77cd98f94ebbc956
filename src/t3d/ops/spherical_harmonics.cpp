#include "t3d/ops/spherical_harmonics.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <vector>

#include "t3d/core/error.h"
#include "t3d/ops/spherical_harmonics_recurrence.h"

namespace t3d::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// visit(i, Y_i [N], its derivatives by x, y, z [N]) with plain tensor operations.
template <class Put>
void by_tensors(const at::Tensor& directions, int degree, const Put& put) {
  const at::Tensor x = directions.select(1, 0), y = directions.select(1, 1), z = directions.select(1, 2);
  sh_recurrence<double>(degree, x, y, z, at::ones_like(x), at::zeros_like(x), sh_factor, put);
}

at::Tensor harmonics_by_tensors(const at::Tensor& directions, int degree) {
  std::vector<at::Tensor> columns(degree * degree);
  by_tensors(directions, degree,
             [&](int i, const at::Tensor& value, const at::Tensor&, const at::Tensor&, const at::Tensor&) {
               columns[i] = value;
             });
  return at::stack(columns, 1);  // [N,degree^2]
}

at::Tensor gradient_by_tensors(const at::Tensor& directions, int degree, const at::Tensor& dy) {
  at::Tensor gx, gy, gz;  // [N]
  by_tensors(
      directions, degree,
      [&](int i, const at::Tensor&, const at::Tensor& by_x, const at::Tensor& by_y, const at::Tensor& by_z) {
        const at::Tensor g = dy.select(1, i);
        gx = gx.defined() ? gx + g * by_x : g * by_x;
        gy = gy.defined() ? gy + g * by_y : g * by_y;
        gz = gz.defined() ? gz + g * by_z : g * by_z;
      });
  return at::stack({gx, gy, gz}, 1);  // [N,3]
}

struct HarmonicsFunction : torch::autograd::Function<HarmonicsFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& directions, int64_t degree) {
    at::Tensor out = at::empty({directions.size(0), degree * degree}, directions.options());
    cpu::sh_forward(static_cast<int>(degree), directions.data_ptr<float>(), 3, directions.size(0),
                    rows(out.data_ptr<float>(), degree * degree));
    ctx->save_for_backward({directions});
    ctx->saved_data["degree"] = degree;
    return out;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const at::Tensor directions = ctx->get_saved_variables()[0];
    const int64_t degree = ctx->saved_data["degree"].toInt();
    if (at::GradMode::is_enabled())
      return {gradient_by_tensors(directions, static_cast<int>(degree), grads[0]), {}};
    const at::Tensor dy = grads[0].contiguous();
    at::Tensor out = at::empty_like(directions);
    cpu::sh_backward(static_cast<int>(degree), directions.data_ptr<float>(), 3, directions.size(0),
                     rows<const float>(dy.data_ptr<float>(), degree * degree), out.data_ptr<float>(), 3);
    return {out, {}};
  }
};

}  // namespace

at::Tensor spherical_harmonics(const at::Tensor& directions, int degree) {
  T3D_CHECK(degree >= 1 && degree <= kMaxShDegree, "degree is ", degree, ", expected 1 to ", kMaxShDegree);
  T3D_CHECK(directions.dim() == 2 && directions.size(1) == 3, "directions are ", directions.sizes(),
            ", expected [N,3]");
  if (!directions.device().is_cpu() || directions.scalar_type() != at::kFloat)
    return harmonics_by_tensors(directions, degree);
  return HarmonicsFunction::apply(directions.contiguous(), int64_t{degree});
}

}  // namespace t3d::ops
