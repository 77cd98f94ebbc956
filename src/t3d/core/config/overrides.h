#pragma once

#include <string>

#include "t3d/core/config/node.h"

namespace t3d::config {

/// `from` over `into`: mappings merge key by key, lists and scalars are replaced as a whole.
void merge(Node& into, const Node& from);

/// "system.loss.lambda_sds=1.": what stands right of the first "=" is YAML, "a" and "a=" are null. Missing
/// mappings are made. Throws UserError for an empty key or a right side that is not YAML.
void apply_override(Node& root, const std::string& text);

}  // namespace t3d::config
