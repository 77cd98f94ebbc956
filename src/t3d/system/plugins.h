#pragma once

#include <string>
#include <vector>

#include "t3d/core/config/node.h"

/// Shared objects with users' own types (core/plugin.h), by --load or by `plugins` of a configuration.
namespace t3d::system {

/// Loads them with the LibTorch of this program. Throws as t3d::load_plugin does.
void load_plugins(const std::vector<std::string>& files);

/// The same with those that the configuration names under `plugins`, the overrides over it: before anything
/// is read that depends on types. Throws UserError where it is no list of paths.
void load_plugins_of(const config::Node& root, const std::vector<std::string>& overrides);

}  // namespace t3d::system
