#include "t3d/optim/averaged_adamw.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

#include "t3d/core/error.h"
#include "t3d/ops/adam.h"

namespace t3d::optim {
namespace {

const char* const kSets[4] = {"weight.", "first.", "second.", "average."};
constexpr int64_t kAlignment = 64;  // numbers: vector loads of every type stay aligned

int64_t volume(const std::vector<int64_t>& shape) {
  int64_t n = 1;
  for (const int64_t size : shape) n *= size;
  return n;
}

}  // namespace

at::Tensor AveragedAdamW::Place::in(const at::Tensor& buffer) const {
  return buffer.narrow(0, first, volume(shape)).as_strided(shape, strides);
}

AveragedAdamW::AveragedAdamW(const std::map<std::string, at::Tensor>& parameters, const Options& options)
    : options_(options) {
  T3D_CHECK(!parameters.empty(), "nothing to learn");
  const c10::NoGradGuard no_grad;
  int64_t n = 0;
  for (const auto& [name, tensor] : parameters) {
    const at::Tensor dense = tensor.is_non_overlapping_and_dense() ? tensor : tensor.contiguous();
    places_.push_back({name, n, dense.sizes().vec(), dense.strides().vec()});
    n += (tensor.numel() + kAlignment - 1) / kAlignment * kAlignment;
  }
  weights_ = at::zeros({n}, parameters.begin()->second.options().dtype(at::kFloat));
  size_t i = 0;
  for (const auto& entry : parameters) places_[i++].in(weights_).copy_(entry.second);
  first_ = at::zeros_like(weights_);
  second_ = at::zeros_like(weights_);
  average_ = weights_.clone();
  const at::ScalarType type = options.compute_type;
  seen_ = type == at::kFloat ? weights_ : weights_.to(type);
  gradients_ = at::zeros_like(seen_);
  i = 0;
  for (const auto& entry : parameters) {
    at::Tensor tensor = entry.second;  // the same object as the network's
    tensor.set_requires_grad(false);
    tensor.set_data(places_[i].in(seen_));
    tensor.set_requires_grad(true);
    tensor.mutable_grad() = places_[i++].in(gradients_);
  }
}

double AveragedAdamW::step(double learning_rate) {
  const c10::NoGradGuard no_grad;
  const at::Tensor g = gradients_.to(at::kFloat);  // gradients_ itself for float
  // Doubles over short rows of floats: as exact as doubles throughout, at a fifth of the time.
  const double norm = at::norm(at::norm(g.view({-1, kAlignment}), 2, 1), 2, at::kDouble).item<double>();
  if (!std::isfinite(norm)) {
    gradients_.zero_();
    return norm;
  }
  ++n_steps_;
  ops::AdamConfig adam;
  adam.beta1 = options_.beta1, adam.beta2 = options_.beta2, adam.eps = options_.epsilon;
  adam.weight_decay = options_.weight_decay;
  const double clip = norm > options_.max_grad_norm ? options_.max_grad_norm / norm : 1;
  ops::adam_step(weights_, g, first_, second_, adam, learning_rate, n_steps_, clip,
                 /*clear_gradients=*/g.is_same(gradients_));
  const double t = static_cast<double>(n_steps_);
  average_.lerp_(weights_, 1 - std::min(options_.ema_decay, (1 + t) / (10 + t)));
  if (!seen_.is_same(weights_)) {
    seen_.copy_(weights_);
    gradients_.zero_();
  }
  return norm;
}

std::map<std::string, at::Tensor> AveragedAdamW::averaged() const {
  std::map<std::string, at::Tensor> out;
  for (const Place& place : places_) out.emplace(place.name, place.in(average_));
  return out;
}

std::map<std::string, at::Tensor> AveragedAdamW::state() const {
  std::map<std::string, at::Tensor> out;
  const at::Tensor* sets[4] = {&weights_, &first_, &second_, &average_};
  for (int s = 0; s < 4; ++s)
    for (const Place& place : places_) out.emplace(kSets[s] + place.name, place.in(*sets[s]));
  return out;
}

void AveragedAdamW::restore(const std::map<std::string, at::Tensor>& state, int64_t n_steps) {
  const c10::NoGradGuard no_grad;
  const at::Tensor* sets[4] = {&weights_, &first_, &second_, &average_};
  for (int s = 0; s < 4; ++s)
    for (const Place& place : places_) {
      const auto entry = state.find(kSets[s] + place.name);
      if (entry == state.end() || entry->second.sizes() != at::IntArrayRef(place.shape))
        throw UserError(cat("the checkpoint has no tensor ", kSets[s], place.name, " of shape ",
                            at::IntArrayRef(place.shape),
                            ". Resume with the configuration of the run that wrote it."));
      place.in(*sets[s]).copy_(entry->second);
    }
  if (!seen_.is_same(weights_)) seen_.copy_(weights_);
  n_steps_ = n_steps;
}

}  // namespace t3d::optim
