#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "t3d/core/registry.h"
#include "t3d/optim/optimizer.h"

namespace t3d::optim {

/// The table of optimizers by `system.optimizer.name`; the block is `system.optimizer.args`.
using OptimizerRegistry = Registry<Optimizer, std::vector<ParameterGroup>>;
OptimizerRegistry& optimizers();

/// From `system.optimizer`: {name, args, params: {dotted.name: {lr: ...}}}. `all` holds every parameter by
/// its checkpoint name ("geometry.encoding.encoding.encoding.params"); a dotted name stands for those that
/// begin with it. Without `params` all are trained. `parts` are names that may stand for no parameter
/// ("background"). Throws UserError for a name that is neither.
std::unique_ptr<Optimizer> make_optimizer(const config::Node& block,
                                          const std::map<std::string, at::Tensor>& all,
                                          const std::vector<std::string>& parts);

}  // namespace t3d::optim
