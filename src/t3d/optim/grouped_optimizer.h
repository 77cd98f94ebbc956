#pragma once

#include <c10/core/GradMode.h>

#include <string>
#include <utility>
#include <vector>

#include "t3d/core/config/overrides.h"
#include "t3d/core/config/struct_io.h"
#include "t3d/optim/optimizer.h"

namespace t3d::optim {

/// A group's options: the optimizer's own with the group's on top.
template <class Config>
std::vector<Config> group_configs(const Config& base, const std::vector<ParameterGroup>& groups) {
  std::vector<Config> all;
  for (const ParameterGroup& group : groups) {
    config::Node merged = config::write_struct(base);
    if (!group.options.is_null()) config::merge(merged, group.options);
    all.push_back(config::read_struct<Config>(merged, "system.optimizer.params." + group.name));
  }
  return all;
}

/// An optimizer whose groups each have options of their own.
template <class GroupConfig>
class GroupedOptimizer : public Optimizer {
 public:
  using Config = GroupConfig;

  GroupedOptimizer(const Config& config, std::vector<ParameterGroup> groups)
      : Optimizer(std::move(groups)), configs_(group_configs(config, groups_)) {}

  std::vector<double> learning_rates() const override {
    std::vector<double> all;
    for (const Config& c : configs_) all.push_back(c.lr);
    return all;
  }

 protected:
  using Member = std::pair<const std::string, at::Tensor>;

  /// Calls body(parameters with a gradient, their options, their learning rate) for each group.
  template <class Body>
  void for_each_group(const std::vector<double>& factors, const Body& body) {
    const c10::NoGradGuard no_grad;
    for (size_t g = 0; g < groups_.size(); ++g) {
      std::vector<Member*> members;
      for (Member& member : groups_[g].tensors)
        if (member.second.grad().defined()) members.push_back(&member);
      body(members, configs_[g], configs_[g].lr * factors[g]);
    }
  }

  /// Calls body(name, parameter, its group's options, its learning rate) where there is a gradient.
  template <class Body>
  void for_each(const std::vector<double>& factors, const Body& body) {
    for_each_group(factors, [&](const std::vector<Member*>& members, const Config& c, double lr) {
      for (Member* member : members) body(member->first, member->second, c, lr);
    });
  }

 private:
  std::vector<Config> configs_;
};

}  // namespace t3d::optim
