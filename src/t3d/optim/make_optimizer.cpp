#include "t3d/optim/make_optimizer.h"

#include <algorithm>

#include "t3d/core/sentence.h"
#include "t3d/optim/adam.h"
#include "t3d/optim/adan.h"

namespace t3d::optim {
namespace {

bool begins_with(const std::string& name, const std::string& prefix) {
  return name == prefix || name.rfind(prefix + ".", 0) == 0;
}

/// "geometry.encoding.params" gives "geometry", "geometry.encoding", ...: what can be asked for.
std::vector<std::string> dotted_names(const std::map<std::string, at::Tensor>& all) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : all)
    for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1))
      names.push_back(name.substr(0, dot));
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace

OptimizerRegistry& optimizers() {
  using R = OptimizerRegistry;
  static R table(
      "optimizer", "moves parameters along their gradients (system.optimizer.name)",
      {R::entry<Adam>("Adam", "Kingma and Ba 2014"),
       R::entry<AdamW>("AdamW", "Adam with decoupled weight decay, 0.01 by default"),
       R::entry<AdamW>("FusedAdam", "AdamW under apex's name"),
       R::entry<AdamaxOptimizer>("Adamax", "Adam by the largest gradient, Kingma and Ba 2014"),
       R::entry<AdanOptimizer>("Adan", "Xie et al. 2022")});
  return table;
}

std::unique_ptr<Optimizer> make_optimizer(const config::Node& block,
                                          const std::map<std::string, at::Tensor>& all,
                                          const std::vector<std::string>& parts) {
  const config::Node* name = block.find("name");
  if (name == nullptr)
    config::reject(block, "system.optimizer", "a block with name, such as {name: Adam, args: {lr: 0.01}}");
  const config::Node* args = block.find("args");
  const config::Node* params = block.find("params");
  std::vector<ParameterGroup> groups;
  if (params == nullptr || params->is_null()) {
    groups.push_back({"all", all, {}});
  } else {
    if (!params->is_map()) config::reject(*params, "system.optimizer.params", "a block of dotted names");
    for (const auto& [dotted, options] : params->map()) {
      ParameterGroup group{dotted, {}, options};
      for (const auto& [key, tensor] : all)
        if (begins_with(key, dotted)) group.tensors.emplace(key, tensor);
      if (group.tensors.empty() && std::find(parts.begin(), parts.end(), dotted) == parts.end()) {
        std::vector<std::string> known = dotted_names(all);
        known.insert(known.end(), parts.begin(), parts.end());
        throw UserError(cat(options.origin.source.empty() ? "" : options.origin.text() + ": ",
                            "system.optimizer.params.", dotted, ": nothing that learns has this name",
                            end_or_suggestion(dotted, known), " Remove it, or name a part of the system."));
      }
      groups.push_back(std::move(group));
    }
  }
  return optimizers().make(config::to_string(*name, "system.optimizer.name"),
                           args == nullptr ? config::Node(config::Node::Map{}) : *args,
                           "system.optimizer.args", std::move(groups));
}

}  // namespace t3d::optim
