#pragma once

#include <string>
#include <vector>

#include "t3d/core/config/node.h"

namespace t3d::system {

/// Looks at the keys of system.loss. A key that is nearly one of ours, or lacks "lambda_", throws UserError;
/// one that threestudio's other systems have passes, since its files must run unchanged; any other is named
/// in a warning. `own` are those of a user's own guidance, which pass.
void check_loss_names(const config::Node& block, const std::vector<std::string>& own = {});

}  // namespace t3d::system
