#include "t3d/ops/packed_gradient.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include "t3d/core/error.h"
#include "t3d/ops/group_norm.h"

namespace t3d::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct HeldWeight : torch::CustomClassHolder {
  explicit HeldWeight(std::shared_ptr<const PackedWeight> w) : weight(std::move(w)) {}
  std::shared_ptr<const PackedWeight> weight;
};

const PackedWeight& hold(AutogradContext* ctx, const std::shared_ptr<const PackedWeight>& weight) {
  ctx->saved_data["weight"] = c10::IValue::make_capsule(c10::make_intrusive<HeldWeight>(weight));
  return *weight;
}

const PackedWeight& held(AutogradContext* ctx) {
  return *static_cast<HeldWeight*>(ctx->saved_data["weight"].toCapsule().get())->weight;
}

/// An undefined tensor as an argument that is not there.
using MaybeTensor = c10::optional<at::Tensor>;

MaybeTensor maybe(const at::Tensor& x) {
  return x.defined() ? MaybeTensor(x) : MaybeTensor();
}

at::Tensor of_residual(AutogradContext* ctx, const at::Tensor& dy) {
  return ctx->saved_data["adds"].toBool() ? dy : at::Tensor();
}

void keep(AutogradContext* ctx, const at::Tensor& x, int64_t stride, Padding padding) {
  ctx->saved_data["x"] = std::vector<int64_t>{x.size(2), x.size(3)};
  ctx->saved_data["window"] = std::vector<int64_t>{stride, padding.before, padding.behind};
}

at::Tensor convolution_adjoint(AutogradContext* ctx, const at::Tensor& dy, at::ScalarType as) {
  const auto x = ctx->saved_data["x"].toIntVector(), window = ctx->saved_data["window"].toIntVector();
  return held(ctx).convolution_adjoint(dy, window[0], {window[1], window[2]}, x[0], x[1], as);
}

// Gradients with respect to x have x's type: the engine would round them to it anyway.

struct PackedLinear : torch::autograd::Function<PackedLinear> {
  static at::Tensor forward(AutogradContext* ctx, const std::shared_ptr<const PackedWeight>& weight,
                            const at::Tensor& x, const MaybeTensor& residual, at::ScalarType as) {
    ctx->saved_data["adds"] = residual.has_value();
    return hold(ctx, weight).linear(x, residual.value_or(at::Tensor()), as);
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const at::Tensor& dy = gradients[0];
    return {{}, held(ctx).linear_adjoint(dy, held(ctx).type()), of_residual(ctx, dy), {}};
  }
};

struct PackedConvolution : torch::autograd::Function<PackedConvolution> {
  static at::Tensor forward(AutogradContext* ctx, const std::shared_ptr<const PackedWeight>& weight,
                            const at::Tensor& x, int64_t stride, Padding padding,
                            const PackedWeight::Extra& extra,
                            const MaybeTensor& residual) {  // extra's, to be seen
    ctx->saved_data["adds"] = residual.has_value();
    ctx->saved_data["type"] = x.scalar_type();
    keep(ctx, x, stride, padding);
    return hold(ctx, weight).convolution(x, stride, padding, extra);
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const at::Tensor& dy = gradients[0];
    const auto type = ctx->saved_data["type"].toScalarType();
    return {{}, convolution_adjoint(ctx, dy, type), {}, {}, {}, of_residual(ctx, dy)};
  }
};

/// One node for both, because the engine would round the gradient between them to the type of what flows
/// there, bfloat16. Keeps x alone.
struct PackedNormConvolution : torch::autograd::Function<PackedNormConvolution> {
  static at::Tensor forward(AutogradContext* ctx, const std::shared_ptr<const PackedWeight>& weight,
                            const at::Tensor& x, const at::Tensor& norm_weight, const at::Tensor& norm_bias,
                            int64_t n_groups, double eps, int64_t stride, int64_t padding,
                            const PackedWeight::Extra& extra,
                            const MaybeTensor& residual) {  // extra's, to be seen
    const auto type = hold(ctx, weight).type();
    T3D_CHECK(type == at::kFloat ? float_group_norm_runs(x) : bf16_group_norm_runs(x), "x ", x.sizes(),
              " with strides ", x.strides());
    at::Tensor statistics;
    const auto picture =
        bordered_group_norm(x, norm_weight, norm_bias, n_groups, eps, true, padding, type, &statistics);
    ctx->save_for_backward({x, norm_weight, norm_bias, statistics});
    ctx->saved_data["adds"] = residual.has_value();
    keep(ctx, x, stride, padding);
    return weight->convolution(picture, stride, extra);
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor& dy = gradients[0];
    const auto gradient =
        held(ctx).type() == at::kFloat ? float_group_norm_gradient : bf16_group_norm_gradient;
    const auto g = gradient(saved[0], saved[1], saved[2], saved[3], convolution_adjoint(ctx, dy, at::kFloat),
                            /*with_silu=*/true, /*in_place=*/true);
    return {{}, g.x, g.weight, g.bias, {}, {}, {}, {}, {}, of_residual(ctx, dy)};
  }
};

}  // namespace

at::Tensor packed_linear(const std::shared_ptr<const PackedWeight>& weight, const at::Tensor& x,
                         const at::Tensor& residual, at::ScalarType as) {
  return PackedLinear::apply(weight, x, maybe(residual), as);
}

at::Tensor packed_convolution(const std::shared_ptr<const PackedWeight>& weight, const at::Tensor& x,
                              int64_t stride, Padding padding, const PackedWeight::Extra& extra) {
  return PackedConvolution::apply(weight, x, stride, padding, extra, maybe(extra.residual));
}

at::Tensor packed_convolution_of_norm(const std::shared_ptr<const PackedWeight>& weight, const Norm& norm,
                                      const at::Tensor& x, int64_t stride, int64_t padding,
                                      const PackedWeight::Extra& extra) {
  return PackedNormConvolution::apply(weight, x, norm.weight, norm.bias, norm.n_groups, norm.eps, stride,
                                      padding, extra, maybe(extra.residual));
}

}  // namespace t3d::ops
