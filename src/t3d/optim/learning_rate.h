#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "t3d/core/config/node.h"

namespace t3d::optim {

/// How learning rates follow a run: the one set of rules of every training loop. A rate is a function of the
/// place in the run alone, so nothing of it is in a checkpoint.
class LearningRate {
 public:
  class Rule;

  /// A place in a run: the steps done, and which fraction of the run they are, in [0,1].
  struct Position {
    int64_t step = 0;
    double done = 0;
  };

  /// Constant.
  LearningRate() = default;
  /// threestudio's system.scheduler, {name, interval, args | schedulers, milestones}, with PyTorch's names
  /// and defaults: ConstantLR, LinearLR, ExponentialLR, StepLR, MultiStepLR, CosineAnnealingLR, PolynomialLR,
  /// SequentialLR, ChainedScheduler; they follow the step. Null: constant. With `interval: epoch`, the
  /// default, nothing ever changes: training from random cameras has one epoch. Throws UserError.
  explicit LearningRate(const config::Node& block);
  /// Linear over the first `warmup` steps, and a cosine over the whole run down to this fraction of the base:
  /// the training of priors.
  static LearningRate warm_up_cosine(int64_t warmup, float final_fraction);
  /// Constant over the first half of the run, then exponential down to this fraction of the base:
  /// reconstruction, whose end may be a time.
  static LearningRate hold_decay(double final_fraction);

  /// The rate there, where the optimizer's own is `base`.
  double at(double base, const Position& at) const;
  double at(double base, int64_t step) const { return at(base, Position{step, 0}); }

 private:
  explicit LearningRate(std::shared_ptr<const Rule> rule) : rule_(std::move(rule)), by_step_(true) {}

  std::shared_ptr<const Rule> rule_;
  bool by_step_ = false;
};

}  // namespace t3d::optim
