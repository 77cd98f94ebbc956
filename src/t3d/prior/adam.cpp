#include "t3d/prior/adam.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

#include "t3d/core/error.h"

namespace t3d::prior {
namespace {

const char* const kSets[4] = {"weight.", "first.", "second.", "average."};

}  // namespace

Adam::Adam(const std::map<std::string, at::Tensor>& parameters, const Options& options) : options_(options) {
  for (const auto& [name, tensor] : parameters) {
    names_.push_back(name);
    weights_.push_back(tensor);
    first_.push_back(at::zeros_like(tensor));
    second_.push_back(at::zeros_like(tensor));
    average_.push_back(tensor.detach().clone());
    weights_.back().set_requires_grad(true);
  }
}

double Adam::step(double learning_rate) {
  const c10::NoGradGuard no_grad;
  std::vector<at::Tensor> grads;
  for (const at::Tensor& w : weights_) grads.push_back(w.grad().defined() ? w.grad() : at::zeros_like(w));
  std::vector<at::Tensor> squares;
  for (const at::Tensor& norm : at::_foreach_norm(grads)) squares.push_back(norm.reshape({}));
  const double norm = at::stack(squares).to(at::kDouble).norm().item<double>();
  for (at::Tensor& w : weights_) w.mutable_grad() = at::Tensor();
  if (!std::isfinite(norm)) return norm;

  ++n_steps_;
  if (norm > options_.max_grad_norm) at::_foreach_mul_(grads, options_.max_grad_norm / norm);
  const double t = static_cast<double>(n_steps_);
  at::_foreach_mul_(first_, options_.beta1);
  at::_foreach_add_(first_, grads, 1 - options_.beta1);
  at::_foreach_mul_(second_, options_.beta2);
  at::_foreach_addcmul_(second_, grads, grads, 1 - options_.beta2);
  auto scale = at::_foreach_sqrt(second_);
  at::_foreach_mul_(scale, 1 / std::sqrt(1 - std::pow(options_.beta2, t)));
  at::_foreach_add_(scale, options_.epsilon);
  if (options_.weight_decay > 0) at::_foreach_mul_(weights_, 1 - learning_rate * options_.weight_decay);
  at::_foreach_addcdiv_(weights_, first_, scale, -learning_rate / (1 - std::pow(options_.beta1, t)));
  const double decay = std::min(options_.ema_decay, (1 + t) / (10 + t));
  at::_foreach_mul_(average_, decay);
  at::_foreach_add_(average_, weights_, 1 - decay);
  return norm;
}

std::map<std::string, at::Tensor> Adam::averaged() const {
  std::map<std::string, at::Tensor> out;
  for (size_t i = 0; i < names_.size(); ++i) out.emplace(names_[i], average_[i]);
  return out;
}

std::map<std::string, at::Tensor> Adam::state() const {
  std::map<std::string, at::Tensor> out;
  const std::vector<at::Tensor>* sets[4] = {&weights_, &first_, &second_, &average_};
  for (int s = 0; s < 4; ++s)
    for (size_t i = 0; i < names_.size(); ++i) out.emplace(kSets[s] + names_[i], (*sets[s])[i].detach());
  return out;
}

void Adam::restore(const std::map<std::string, at::Tensor>& state, int64_t n_steps) {
  const c10::NoGradGuard no_grad;
  std::vector<at::Tensor>* sets[4] = {&weights_, &first_, &second_, &average_};
  for (int s = 0; s < 4; ++s)
    for (size_t i = 0; i < names_.size(); ++i) {
      const auto entry = state.find(kSets[s] + names_[i]);
      at::Tensor& to = (*sets[s])[i];
      if (entry == state.end() || entry->second.sizes() != to.sizes())
        throw UserError(cat("the checkpoint has no tensor ", kSets[s], names_[i], " of shape ", to.sizes(),
                            ". Resume with the configuration of the run that wrote it."));
      to.copy_(entry->second);
    }
  n_steps_ = n_steps;
}

}  // namespace t3d::prior
