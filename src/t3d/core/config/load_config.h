#pragma once

#include <string>
#include <vector>

#include "t3d/core/config/node.h"
#include "t3d/core/config/overrides.h"

namespace t3d::config {

/// The file, then the overrides ("key.path=value") in their order, then what the program itself sets, merged
/// and with all interpolations resolved. `kinds` says which keys are texts. The result is a mapping. Throws
/// as read_yaml_file, apply_override and resolve_interpolations do.
Node load_config(const std::string& path, const std::vector<std::string>& overrides,
                 const Node& internal = {}, const KeyKinds& kinds = {});

/// The same before interpolations are resolved.
Node load_unresolved(const std::string& path, const std::vector<std::string>& overrides = {},
                     const KeyKinds& kinds = {});

}  // namespace t3d::config
