#pragma once

#include <string>

#include "t3d/core/config/node.h"

namespace t3d::config {

/// YAML from which read_yaml makes an equal node: mappings in block style, lists of scalars on one line,
/// strings in quotes where they would be read as something else. Ends with a newline.
std::string write_yaml(const Node& node);

/// A scalar, list or mapping on one line, as it may stand right of the "=" of an override.
std::string write_yaml_line(const Node& node);

}  // namespace t3d::config
