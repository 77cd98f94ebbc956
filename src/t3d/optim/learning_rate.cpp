#include "t3d/optim/learning_rate.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "t3d/core/config/struct_io.h"
#include "t3d/core/error.h"
#include "t3d/core/sentence.h"

namespace t3d::optim {

class LearningRate::Rule {
 public:
  virtual ~Rule() = default;
  virtual double at(double base, int64_t step) const = 0;
};

namespace {

using Rule = LearningRate::Rule;
using RulePtr = std::shared_ptr<const Rule>;
using config::Node;

struct Constant : Rule {
  double factor = 1.0 / 3;
  int64_t total_iters = 5;
  template <class V>
  void visit(V& v) {
    v("factor", factor, config::in_range(0, 1), "until total_iters");
    v("total_iters", total_iters, config::non_negative(), "steps");
  }
  double at(double base, int64_t step) const override { return step < total_iters ? base * factor : base; }
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
  double at(double base, int64_t step) const override {
    const double share = std::min(1.0, static_cast<double>(step) / static_cast<double>(total_iters));
    return base * (start_factor + (end_factor - start_factor) * share);
  }
};

struct Exponential : Rule {
  double gamma = 1;
  template <class V>
  void visit(V& v) {
    v("gamma", gamma, config::required(config::positive()), "factor of each step");
  }
  double at(double base, int64_t step) const override {
    return base * std::pow(gamma, static_cast<double>(step));
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
  double at(double base, int64_t step) const override {
    return base * std::pow(gamma, static_cast<double>(step / step_size));
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
  double at(double base, int64_t step) const override {
    const auto n = std::count_if(milestones.begin(), milestones.end(), [&](int64_t m) { return step >= m; });
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
  double at(double base, int64_t step) const override {
    constexpr double kPi = 3.14159265358979323846;
    const double angle = kPi * static_cast<double>(step) / static_cast<double>(T_max);
    return eta_min + (base - eta_min) * (1 + std::cos(angle)) / 2;
  }
};

struct Polynomial : Rule {
  int64_t total_iters = 5;
  double power = 1;
  template <class V>
  void visit(V& v) {
    v("total_iters", total_iters, config::at_least(1), "steps down to 0");
    v("power", power, config::positive(), "of the share that is left");
  }
  double at(double base, int64_t step) const override {
    const double share = std::min(1.0, static_cast<double>(step) / static_cast<double>(total_iters));
    return base * std::pow(1 - share, power);
  }
};

/// One rule after another; each begins at its own step 0.
struct Sequential : Rule {
  std::vector<RulePtr> rules;
  std::vector<int64_t> milestones;
  double at(double base, int64_t step) const override {
    size_t i = 0;
    while (i < milestones.size() && step >= milestones[i]) ++i;
    return rules[i]->at(base, i == 0 ? step : step - milestones[i - 1]);
  }
};

/// The factors of all rules at once.
struct Chained : Rule {
  std::vector<RulePtr> rules;
  double at(double base, int64_t step) const override {
    double rate = base;
    for (const auto& rule : rules) rate *= rule->at(base, step) / base;
    return rate;
  }
};

RulePtr make_rule(const Node& block, const std::string& path);

std::vector<RulePtr> make_rules(const Node& block, const std::string& path) {
  const Node* list = block.find("schedulers");
  if (list == nullptr || !list->is_list() || list->list().empty())
    config::reject(block, path, "a block with schedulers, a list of schedules");
  std::vector<RulePtr> rules;
  for (const Node& each : list->list())
    rules.push_back(make_rule(each, cat(path, ".schedulers[", rules.size(), "]")));
  return rules;
}

template <class T>
RulePtr from_args(const Node& block, const std::string& path) {
  const Node* args = block.find("args");
  return std::make_shared<T>(
      config::read_struct<T>(args == nullptr ? Node(Node::Map{}, block.origin) : *args, path + ".args"));
}

RulePtr make_rule(const Node& block, const std::string& path) {
  const Node* named = block.find("name");
  if (named == nullptr) config::reject(block, path, "a block with name, such as {name: ExponentialLR}");
  const std::string name = config::to_string(*named, path + ".name");
  if (name == "SequentialLR") {
    auto rule = std::make_shared<Sequential>();
    rule->rules = make_rules(block, path);
    if (const Node* milestones = block.find("milestones"))
      rule->milestones = config::Codec<std::vector<int64_t>>::read(*milestones, path + ".milestones", {});
    if (rule->milestones.size() + 1 != rule->rules.size())
      config::reject(block, path, "one milestone less than schedulers");
    return rule;
  }
  if (name == "ChainedScheduler") {
    auto rule = std::make_shared<Chained>();
    rule->rules = make_rules(block, path);
    return rule;
  }
  using Maker = RulePtr (*)(const Node&, const std::string&);
  static const std::vector<std::pair<std::string, Maker>> table = {
      {"ConstantLR", from_args<Constant>},       {"LinearLR", from_args<Linear>},
      {"ExponentialLR", from_args<Exponential>}, {"StepLR", from_args<Stairs>},
      {"MultiStepLR", from_args<Milestones>},    {"CosineAnnealingLR", from_args<Cosine>},
      {"PolynomialLR", from_args<Polynomial>}};
  std::vector<std::string> names = {"SequentialLR", "ChainedScheduler"};
  for (const auto& [known, make] : table) {
    if (known == name) return make(block, path);
    names.push_back(known);
  }
  throw UserError(cat(named->origin.source.empty() ? "" : named->origin.text() + ": ", path,
                      ".name: there is no learning rate schedule named ", name,
                      end_or_suggestion(name, names), " See docs/systems.md."));
}

}  // namespace

LearningRate::LearningRate(const Node& block) {
  if (block.is_null()) return;
  rule_ = make_rule(block, "system.scheduler");
  if (const Node* interval = block.find("interval")) {
    const std::string unit = config::to_string(*interval, "system.scheduler.interval");
    config::check_name(unit, config::one_of({"epoch", "step"}), *interval, "system.scheduler.interval");
    by_step_ = unit == "step";
  }
}

double LearningRate::at(double base, int64_t step) const {
  if (rule_ == nullptr || base == 0) return base;
  return rule_->at(base, by_step_ ? step : 0);
}

}  // namespace t3d::optim
