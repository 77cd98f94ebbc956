#include "t3d/diffusion/checkpointed.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <algorithm>

namespace t3d::diffusion {
namespace {

struct Recipe : torch::CustomClassHolder {
  explicit Recipe(TensorFunction function) : f(std::move(function)) {}
  TensorFunction f;
};

struct Checkpointed : torch::autograd::Function<Checkpointed> {
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* ctx,
                                                const TensorFunction& f, at::TensorList inputs,
                                                at::TensorList parameters) {
    torch::autograd::variable_list saved = inputs.vec();
    saved.insert(saved.end(), parameters.begin(), parameters.end());
    ctx->save_for_backward(saved);
    ctx->saved_data["n_inputs"] = static_cast<int64_t>(inputs.size());
    ctx->saved_data["f"] = c10::IValue::make_capsule(c10::make_intrusive<Recipe>(f));
    return f(inputs.vec());
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx,
                                                 torch::autograd::variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto n_inputs = static_cast<size_t>(ctx->saved_data["n_inputs"].toInt());
    const auto recipe = c10::static_intrusive_pointer_cast<Recipe>(ctx->saved_data["f"].toCapsule());
    const c10::AutoGradMode with_grad(true);
    std::vector<at::Tensor> inputs, wanted;
    std::vector<size_t> places;  // of the wanted ones among the saved
    for (size_t i = 0; i < saved.size(); ++i) {
      at::Tensor t = saved[i];
      if (i < n_inputs) {
        if (t.defined()) t = t.detach().set_requires_grad(saved[i].requires_grad());
        inputs.push_back(t);
      }
      if (!t.defined() || !t.requires_grad()) continue;
      wanted.push_back(t);
      places.push_back(i);
    }
    const auto all = recipe->f(inputs);
    std::vector<at::Tensor> outputs, output_grads;
    for (size_t i = 0; i < all.size(); ++i) {
      if (!grads[i].defined() || !all[i].requires_grad()) continue;
      outputs.push_back(all[i]);
      output_grads.push_back(grads[i]);
    }
    torch::autograd::variable_list result(1 + saved.size());  // the function's own place comes first
    if (outputs.empty() || wanted.empty()) return result;
    const auto found = torch::autograd::grad(outputs, wanted, output_grads, /*retain_graph=*/false,
                                             /*create_graph=*/false, /*allow_unused=*/true);
    for (size_t i = 0; i < found.size(); ++i) result[1 + places[i]] = found[i];
    return result;
  }
};

bool wants_gradient(const std::vector<at::Tensor>& tensors) {
  return std::any_of(tensors.begin(), tensors.end(),
                     [](const at::Tensor& t) { return t.defined() && t.requires_grad(); });
}

}  // namespace

std::vector<at::Tensor> checkpointed(const TensorFunction& f, const std::vector<at::Tensor>& inputs,
                                     const std::vector<at::Tensor>& parameters) {
  if (!at::GradMode::is_enabled() || !(wants_gradient(inputs) || wants_gradient(parameters)))
    return f(inputs);
  // LibTorch 1.13 looks for tensors in lists, not in vectors.
  return Checkpointed::apply(f, at::TensorList(inputs), at::TensorList(parameters));
}

}  // namespace t3d::diffusion
