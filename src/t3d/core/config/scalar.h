#pragma once

#include <string>

#include "t3d/core/config/node.h"

namespace t3d::config {

/// The value of an unquoted scalar under YAML 1.1 as PyYAML reads it, with OmegaConf's two changes: a float
/// may be written `1e-15`, and a timestamp stays a string. Anything that matches no pattern is a string
/// (`None` too). Ints: decimal, 0b1, 017, 0x1f, 1:30 (base 60), with underscores. Throws UserError for an int
/// beyond 64 bits.
Node typed_scalar(const std::string& text, const Origin& origin);

/// As it is written so that typed_scalar gives the same double: "0.1", "1.0", "1e-15", ".inf".
std::string float_text(double value);

/// As Python's str() prints it: "0.1", "1.0", "1e-15", "inf".
std::string python_float_text(double value);

}  // namespace t3d::config
