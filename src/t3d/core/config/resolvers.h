#pragma once

#include <functional>
#include <string>
#include <vector>

#include "t3d/core/config/node.h"

namespace t3d::config {

/// What a resolver is called with: `${name:arguments}`.
struct Call {
  std::string name;
  std::vector<Node> arguments;
  Origin origin;  ///< of the text that holds the call
  /// The resolved value at an absolute key path, or nullptr-like null with `found` false.
  std::function<Node(const std::string& path, bool& found)> select;
};

struct Resolver {
  const char* name;
  size_t min_arguments, max_arguments;
  const char* help;
  Node (*run)(const Call& call);
};

/// threestudio's resolvers and those of OmegaConf's that a text file can use.
const std::vector<Resolver>& resolvers();

/// Throws UserError for an unknown name, a wrong number of arguments, or arguments that do not fit.
Node run_resolver(const Call& call);

/// Python's str(): None, True, 0.1, [1, 'a'], {'k': 1.0}.
std::string python_str(const Node& node);

}  // namespace t3d::config
