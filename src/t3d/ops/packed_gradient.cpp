#include "t3d/ops/packed_gradient.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

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

struct PackedLinear : torch::autograd::Function<PackedLinear> {
  static at::Tensor forward(AutogradContext* ctx, const std::shared_ptr<const PackedWeight>& weight,
                            const at::Tensor& x, const MaybeTensor& residual, at::ScalarType as) {
    ctx->saved_data["adds"] = residual.has_value();
    return hold(ctx, weight).linear(x, residual.value_or(at::Tensor()), as);
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const at::Tensor& dy = gradients[0];
    return {{}, held(ctx).transposed().linear(dy.to(at::kBFloat16)), of_residual(ctx, dy), {}};
  }
};

struct PackedConvolution : torch::autograd::Function<PackedConvolution> {
  static at::Tensor forward(AutogradContext* ctx, const std::shared_ptr<const PackedWeight>& weight,
                            const at::Tensor& x, int64_t padding, const PackedWeight::Extra& extra,
                            const MaybeTensor& residual) {  // extra's, to be seen
    ctx->saved_data["adds"] = residual.has_value();
    ctx->saved_data["padding"] = padding;
    return hold(ctx, weight).convolution(x, 1, padding, extra);
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const at::Tensor& dy = gradients[0];
    const auto& weight = held(ctx).transposed();
    const int64_t padding = weight.kernel() - 1 - ctx->saved_data["padding"].toInt();
    return {{}, weight.convolution(dy.to(at::kBFloat16), 1, padding, {}), {}, {}, of_residual(ctx, dy)};
  }
};

}  // namespace

at::Tensor packed_linear(const std::shared_ptr<const PackedWeight>& weight, const at::Tensor& x,
                         const at::Tensor& residual, at::ScalarType as) {
  return PackedLinear::apply(weight, x, maybe(residual), as);
}

at::Tensor packed_convolution(const std::shared_ptr<const PackedWeight>& weight, const at::Tensor& x,
                              int64_t padding, const PackedWeight::Extra& extra) {
  return PackedConvolution::apply(weight, x, padding, extra, maybe(extra.residual));
}

}  // namespace t3d::ops
