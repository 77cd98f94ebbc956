#include "t3d/ops/recorded_loss.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <utility>

#include "t3d/core/error.h"

namespace t3d::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Loss and gradients at `inputs`, one after the other: [1 + n].
at::Tensor loss_and_gradients(const RecordedLoss::Function& function,
                              const std::vector<at::Tensor>& parameters, double scale,
                              const std::vector<at::Tensor>& inputs) {
  const c10::AutoGradMode with_gradients(true);
  const auto loss = function(inputs).to(at::kFloat);
  T3D_CHECK(loss.numel() == 1, "a loss is one number, found ", loss.sizes());
  std::vector<at::Tensor> row = {loss.detach().reshape({1})};
  for (const at::Tensor& g : torch::autograd::grad({loss * scale}, parameters))
    row.push_back(g.to(at::kFloat).reshape({-1}));
  const auto all = at::cat(row);
  if (scale != 1) all.slice(0, 1).div_(scale);
  return all;
}

struct LossAtHand : torch::autograd::Function<LossAtHand> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& row, at::TensorList parameters) {
    variable_list kept = {row.slice(0, 1)};
    kept.insert(kept.end(), parameters.begin(), parameters.end());
    ctx->save_for_backward(kept);
    return row[0].clone();
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& above) {
    const auto kept = ctx->get_saved_variables();
    const auto all = kept[0] * above[0];
    variable_list out = {at::Tensor()};  // none for the row
    int64_t begin = 0;
    for (size_t i = 1; i < kept.size(); ++i) {
      const int64_t end = begin + kept[i].numel();
      out.push_back(all.slice(0, begin, end).reshape(kept[i].sizes()));
      begin = end;
    }
    return out;
  }
};

}  // namespace

RecordedLoss::RecordedLoss(Function loss, std::vector<at::Tensor> parameters, c10::Device device,
                           double gradient_scale)
    : parameters_(std::move(parameters)),
      graph_(
          [loss = std::move(loss), parameters = parameters_,
           gradient_scale](const std::vector<at::Tensor>& inputs) {
            return loss_and_gradients(loss, parameters, gradient_scale, inputs);
          },
          device) {}

at::Tensor RecordedLoss::operator()(const std::vector<at::Tensor>& inputs) {
  std::vector<at::Tensor> constants;
  for (const at::Tensor& t : inputs) constants.push_back(t.defined() ? t.detach() : t);
  const auto row = graph_(constants).clone();  // the recording's own is overwritten by the next call
  return LossAtHand::apply(row, at::TensorList(parameters_));
}

}  // namespace t3d::ops
