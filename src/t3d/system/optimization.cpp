#include "t3d/system/optimization.h"

#include <ATen/ATen.h>

#include <cmath>
#include <vector>

namespace t3d::system {
namespace {

const char *const kScenePrefix = "optimizer.", *const kOwnPrefix = "own_optimizer.";

/// Those whose names begin with the prefix, by what follows it.
NamedTensors moments_of(const SavedWeights& saved, const std::string& prefix) {
  NamedTensors all;
  for (const auto& [name, tensor] : saved.tensors)
    if (name.rfind(prefix, 0) == 0) all.emplace(name.substr(prefix.size()), tensor);
  return all;
}

}  // namespace

Optimization::Optimization(const System& system) : rate_(system.config().scheduler) {
  NamedTensors scene = system.parameters();
  if (const auto own = system.renderer_learning()) {
    for (const auto& [name, tensor] : own->parameters) scene.erase(name);
    own_ = optim::make_optimizer(own->optimizer, own->parameters, {});
    config::Node schedule = own->scheduler;
    if (!schedule.is_null()) schedule.set("interval", config::Node(std::string("step")));
    own_rate_ = optim::LearningRate(schedule);
  }
  scene_ = optim::make_optimizer(system.config().optimizer, scene, system.part_names());
}

Optimization::Gradients Optimization::take_gradients() {
  return {scene_->take_gradients(), own_ ? own_->take_gradients() : NamedTensors()};
}

void Optimization::add_gradients(const Gradients& gradients) {
  scene_->add_gradients(gradients.scene);
  if (own_) own_->add_gradients(gradients.own);
}

void Optimization::clear_gradients() {
  scene_->clear_gradients();
  if (own_) own_->clear_gradients();
}

at::Tensor Optimization::gradient_norm() const {
  return scene_->gradient_norm();
}

at::Tensor Optimization::own_gradient_norm() const {
  return own_ ? own_->gradient_norm() : at::Tensor();
}

std::string Optimization::first_bad_gradient() const {
  return scene_->first_bad_gradient();
}

std::map<std::string, double> Optimization::step(int64_t step, double gradient_norm,
                                                 std::optional<double> longest) {
  if (longest && *longest > 0 && gradient_norm > *longest)
    scene_->scale_gradients(*longest / (gradient_norm + 1e-6));
  std::map<std::string, double> by_group;
  std::vector<double> factors;
  const std::vector<double> rates = scene_->learning_rates();
  for (size_t g = 0; g < rates.size(); ++g) {
    const double rate = rate_factor_ * rate_.at(rates[g], step);
    factors.push_back(rates[g] > 0 ? rate / rates[g] : 0);
    by_group[scene_->groups()[g].name] = rate;
  }
  scene_->step(++n_updates_, factors);
  scene_->clear_gradients();
  return by_group;
}

void Optimization::step_own(int64_t step, double gradient_norm) {
  if (gradient_norm > 0 && std::isfinite(gradient_norm)) {
    std::vector<double> factors;
    for (const double rate : own_->learning_rates())
      factors.push_back(rate > 0 ? own_rate_.at(rate, step) / rate : 0);
    own_->step(++n_own_updates_, factors);
  }
  own_->clear_gradients();
}

void Optimization::add_to(train::Checkpoint& checkpoint) const {
  for (const auto& [name, tensor] : scene_->state()) checkpoint.tensors.emplace(kScenePrefix + name, tensor);
  if (own_)
    for (const auto& [name, tensor] : own_->state()) checkpoint.tensors.emplace(kOwnPrefix + name, tensor);
  checkpoint.state["updates"] = n_updates_;
  checkpoint.state["own_updates"] = n_own_updates_;
  checkpoint.state["rate_factor"] = rate_factor_;
}

void Optimization::restore(const SavedWeights& saved) {
  if (saved.is_foreign) {
    n_updates_ = 0;
    return;
  }
  n_updates_ = saved.state.value("updates", saved.step);
  n_own_updates_ = saved.state.value("own_updates", int64_t{0});
  rate_factor_ = saved.state.value("rate_factor", 1.0);
  scene_->restore(moments_of(saved, kScenePrefix));
  if (own_) own_->restore(moments_of(saved, kOwnPrefix));
}

}  // namespace t3d::system
