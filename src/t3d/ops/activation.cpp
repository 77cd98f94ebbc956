#include "t3d/ops/activation.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <map>

#include "t3d/core/error.h"
#include "t3d/core/sentence.h"

namespace t3d::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct TruncExpFunction : torch::autograd::Function<TruncExpFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x) {
    ctx->save_for_backward({x});
    return at::exp(x);
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    return {grads[0] * at::exp(at::clamp(ctx->get_saved_variables()[0], -15, 15))};
  }
};

const std::map<std::string, Activation>& table() {
  static const std::map<std::string, Activation> names = {
      {"none", Activation::None},          {"identity", Activation::None},
      {"relu", Activation::Relu},          {"sigmoid", Activation::Sigmoid},
      {"trunc_exp", Activation::TruncExp}, {"softplus", Activation::Softplus}};
  return names;
}

}  // namespace

std::vector<std::string> activation_names() {
  std::vector<std::string> names;
  for (const auto& entry : table()) names.push_back(entry.first);
  return names;
}

Activation activation_from_name(const std::string& name) {
  const auto found = table().find(name);
  if (found != table().end()) return found->second;
  throw UserError(cat("unknown activation ", name, end_or_suggestion(name, activation_names())));
}

const char* activation_name(Activation activation) {
  switch (activation) {
    case Activation::Relu:
      return "relu";
    case Activation::Sigmoid:
      return "sigmoid";
    case Activation::TruncExp:
      return "trunc_exp";
    case Activation::Softplus:
      return "softplus";
    default:
      return "none";
  }
}

at::Tensor trunc_exp(const at::Tensor& x) {
  return TruncExpFunction::apply(x);
}

at::Tensor activate(const at::Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::Relu:
      return at::relu(x);
    case Activation::Sigmoid:
      return at::sigmoid(x);
    case Activation::TruncExp:
      return trunc_exp(x);
    case Activation::Softplus:
      return at::softplus(x);
    default:
      return x;
  }
}

}  // namespace t3d::ops
