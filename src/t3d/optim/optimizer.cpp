#include "t3d/optim/optimizer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "t3d/core/error.h"

namespace t3d::optim {

void Optimizer::clear_gradients() {
  for (auto& group : groups_)
    for (auto& [name, p] : group.tensors)
      if (p.grad().defined()) p.mutable_grad() = at::Tensor();
}

std::map<std::string, at::Tensor> Optimizer::take_gradients() {
  std::map<std::string, at::Tensor> taken;
  for (auto& group : groups_)
    for (auto& [name, p] : group.tensors)
      if (p.grad().defined()) taken.emplace(name, p.grad());
  clear_gradients();
  return taken;
}

void Optimizer::add_gradients(const std::map<std::string, at::Tensor>& gradients) {
  const c10::NoGradGuard no_grad;
  for (auto& group : groups_)
    for (auto& [name, p] : group.tensors) {
      const auto given = gradients.find(name);
      if (given == gradients.end()) continue;
      if (p.grad().defined())
        p.mutable_grad().add_(given->second);
      else
        p.mutable_grad() = given->second;
    }
}

at::Tensor Optimizer::gradient_norm() const {
  const c10::NoGradGuard no_grad;
  std::map<c10::DeviceIndex, std::vector<at::Tensor>> by_device;  // the CPU is -1
  for (const auto& group : groups_)
    for (const auto& [name, p] : group.tensors)
      if (p.grad().defined()) by_device[p.grad().device().index()].push_back(p.grad());
  at::Tensor sum;
  for (const auto& [device, gradients] : by_device) {
    const auto norms = at::stack(at::_foreach_norm(gradients, 2)).to(at::kDouble);
    const auto own = norms.square().sum();
    sum = sum.defined() ? sum + own.to(sum.device()) : own;
  }
  return sum.defined() ? sum.sqrt() : at::zeros({}, at::kDouble);
}

std::string Optimizer::first_bad_gradient() const {
  for (const auto& group : groups_)
    for (const auto& [name, p] : group.tensors)
      if (p.grad().defined() && !at::isfinite(p.grad()).all().item<bool>()) return name;
  return "";
}

void Optimizer::scale_gradients(double factor) {
  const c10::NoGradGuard no_grad;
  for (auto& group : groups_)
    for (auto& [name, p] : group.tensors)
      if (p.grad().defined()) p.mutable_grad().mul_(factor);
}

void Optimizer::restore(const std::map<std::string, at::Tensor>& state) {
  const c10::NoGradGuard no_grad;
  for (const auto& [key, value] : state) {
    const size_t dot = key.rfind('.');
    for (const auto& group : groups_) {
      const auto p = group.tensors.find(key.substr(0, dot));
      if (p == group.tensors.end()) continue;
      if (p->second.sizes() != value.sizes())
        throw UserError(cat("the checkpoint's ", key, " is ", value.sizes(), ", expected ", p->second.sizes(),
                            ". Resume with the configuration that it was made with."));
      moments_[key] = value.to(p->second.device()).clone();
    }
  }
}

at::Tensor& Optimizer::moment(const std::string& name, const char* what, const at::Tensor& like) {
  at::Tensor& m = moments_[name + "." + what];
  if (!m.defined()) m = at::zeros_like(like.detach(), at::MemoryFormat::Contiguous);
  return m;
}

}  // namespace t3d::optim
