#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "t3d/core/config/fields.h"
#include "t3d/optim/learning_rate.h"

/// The rules behind LearningRate, each a struct of its keys. The first seven and the last two have PyTorch's
/// names and defaults (torch.optim.lr_scheduler).
namespace t3d::optim {

class LearningRate::Rule {
 public:
  virtual ~Rule() = default;
  virtual double at(double base, const Position& at) const = 0;
};

namespace rules {

constexpr double kPi = 3.14159265358979323846;

using Rule = LearningRate::Rule;
using RulePtr = std::shared_ptr<const Rule>;
using Position = LearningRate::Position;

struct Constant : Rule {
  double factor = 1.0 / 3;
  int64_t total_iters = 5;
  template <class V>
  void visit(V& v) {
    v("factor", factor, config::in_range(0, 1), "until total_iters");
    v("total_iters", total_iters, config::non_negative(), "steps");
  }
  double at(double base, const Position& at) const override {
    return at.step < total_iters ? base * factor : base;
  }
};

struct Linear : Rule {
  double start_factor = 1.0 / 3, end_factor = 1;
  int64_t total_iters = 5;
  template <class V>
  void visit(V& v) {
    v("start_factor", start_factor, config::in_range(0, 1), "at step 0");
    v("end_factor", end_factor, config::in_range(0, 1), "from total_iters on");
    v("total_iters", total_iters, config::at_least(1), "steps");
  }
  double at(double base, const Position& at) const override {
    const double fraction = std::min(1.0, static_cast<double>(at.step) / static_cast<double>(total_iters));
    return base * (start_factor + (end_factor - start_factor) * fraction);
  }
};

struct Exponential : Rule {
  double gamma = 1;
  template <class V>
  void visit(V& v) {
    v("gamma", gamma, config::required(config::positive()), "factor of each step");
  }
  double at(double base, const Position& at) const override {
    return base * std::pow(gamma, static_cast<double>(at.step));
  }
};

struct Stairs : Rule {
  int64_t step_size = 1;
  double gamma = 0.1;
  template <class V>
  void visit(V& v) {
    v("step_size", step_size, config::required(config::at_least(1)), "steps between two factors");
    v("gamma", gamma, config::positive(), "factor");
  }
  double at(double base, const Position& at) const override {
    return base * std::pow(gamma, static_cast<double>(at.step / step_size));
  }
};

struct Milestones : Rule {
  std::vector<int64_t> milestones;
  double gamma = 0.1;
  template <class V>
  void visit(V& v) {
    v("milestones", milestones, config::required(config::non_negative()), "steps of the factors");
    v("gamma", gamma, config::positive(), "factor");
  }
  double at(double base, const Position& at) const override {
    const auto n =
        std::count_if(milestones.begin(), milestones.end(), [&](int64_t m) { return at.step >= m; });
    return base * std::pow(gamma, static_cast<double>(n));
  }
};

struct Cosine : Rule {
  int64_t T_max = 1;
  double eta_min = 0;
  template <class V>
  void visit(V& v) {
    v("T_max", T_max, config::required(config::at_least(1)), "steps down to eta_min");
    v("eta_min", eta_min, config::non_negative(), "the smallest rate");
  }
  double at(double base, const Position& at) const override {
    const double angle = kPi * static_cast<double>(at.step) / static_cast<double>(T_max);
    return eta_min + (base - eta_min) * (1 + std::cos(angle)) / 2;
  }
};

struct Polynomial : Rule {
  int64_t total_iters = 5;
  double power = 1;
  template <class V>
  void visit(V& v) {
    v("total_iters", total_iters, config::at_least(1), "steps down to 0");
    v("power", power, config::positive(), "of the fraction that is left");
  }
  double at(double base, const Position& at) const override {
    const double fraction = std::min(1.0, static_cast<double>(at.step) / static_cast<double>(total_iters));
    return base * std::pow(1 - fraction, power);
  }
};

/// Linear from the first step on, times half a cosine over the whole run, which ends at final_fraction.
struct WarmUpCosine : Rule {
  int64_t warmup = 0;
  float final_fraction = 0;
  double at(double base, const Position& at) const override {
    const double warm =
        warmup > 0 ? std::min(1.0, static_cast<double>(at.step + 1) / static_cast<double>(warmup)) : 1;
    return base * warm * (final_fraction + (1 - final_fraction) * 0.5 * (1 + std::cos(kPi * at.done)));
  }
};

/// Constant over the first half of the run, then exponential to final_fraction.
struct HoldDecay : Rule {
  double final_fraction = 1;
  double at(double base, const Position& at) const override {
    return base * std::pow(final_fraction, std::clamp(2 * at.done - 1, 0.0, 1.0));
  }
};

/// One rule after another; each begins at its own step 0.
struct Sequential : Rule {
  std::vector<RulePtr> rules;
  std::vector<int64_t> milestones;
  double at(double base, const Position& at) const override {
    size_t i = 0;
    while (i < milestones.size() && at.step >= milestones[i]) ++i;
    return rules[i]->at(base, {i == 0 ? at.step : at.step - milestones[i - 1], at.done});
  }
};

/// The factors of all rules at once.
struct Chained : Rule {
  std::vector<RulePtr> rules;
  double at(double base, const Position& at) const override {
    double rate = base;
    for (const auto& rule : rules) rate *= rule->at(base, at) / base;
    return rate;
  }
};

}  // namespace rules
}  // namespace t3d::optim
