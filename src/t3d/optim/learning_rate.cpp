#include "t3d/optim/learning_rate.h"

#include <vector>

#include "t3d/core/config/struct_io.h"
#include "t3d/core/error.h"
#include "t3d/core/sentence.h"
#include "t3d/optim/learning_rate_rules.h"

namespace t3d::optim {
namespace {

using config::Node;
using rules::RulePtr;

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
    auto rule = std::make_shared<rules::Sequential>();
    rule->rules = make_rules(block, path);
    if (const Node* milestones = block.find("milestones"))
      rule->milestones = config::Codec<std::vector<int64_t>>::read(*milestones, path + ".milestones", {});
    if (rule->milestones.size() + 1 != rule->rules.size())
      config::reject(block, path, "one milestone less than schedulers");
    return rule;
  }
  if (name == "ChainedScheduler") {
    auto rule = std::make_shared<rules::Chained>();
    rule->rules = make_rules(block, path);
    return rule;
  }
  using Maker = RulePtr (*)(const Node&, const std::string&);
  static const std::vector<std::pair<std::string, Maker>> table = {
      {"ConstantLR", from_args<rules::Constant>},       {"LinearLR", from_args<rules::Linear>},
      {"ExponentialLR", from_args<rules::Exponential>}, {"StepLR", from_args<rules::Stairs>},
      {"MultiStepLR", from_args<rules::Milestones>},    {"CosineAnnealingLR", from_args<rules::Cosine>},
      {"PolynomialLR", from_args<rules::Polynomial>}};
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

LearningRate LearningRate::warm_up_cosine(int64_t warmup, float final_fraction) {
  const auto rule = std::make_shared<rules::WarmUpCosine>();
  rule->warmup = warmup;
  rule->final_fraction = final_fraction;
  return LearningRate(rule);
}

LearningRate LearningRate::hold_decay(double final_fraction) {
  const auto rule = std::make_shared<rules::HoldDecay>();
  rule->final_fraction = final_fraction;
  return LearningRate(rule);
}

double LearningRate::at(double base, const Position& at) const {
  if (rule_ == nullptr || base == 0) return base;
  return rule_->at(base, by_step_ ? at : Position{});
}

}  // namespace t3d::optim
