#pragma once

#include <cstdint>
#include <memory>

#include "t3d/core/config/node.h"

namespace t3d::optim {

/// How learning rates follow the step: threestudio's system.scheduler, {name, interval, args | schedulers,
/// milestones}, with PyTorch's names and defaults: ConstantLR, LinearLR, ExponentialLR, StepLR, MultiStepLR,
/// CosineAnnealingLR, PolynomialLR, SequentialLR, ChainedScheduler.
///
/// A rate is a function of the step alone, so nothing of it is in a checkpoint. With `interval: epoch`, the
/// default, nothing ever changes: training from random cameras has one epoch.
class LearningRate {
 public:
  /// Constant.
  LearningRate() = default;
  /// From `system.scheduler`; null: constant. Throws UserError.
  explicit LearningRate(const config::Node& block);

  /// The rate after `step` steps where the optimizer's own is `base`.
  double at(double base, int64_t step) const;

  class Rule;

 private:
  std::shared_ptr<const Rule> rule_;
  bool by_step_ = false;
};

}  // namespace t3d::optim
