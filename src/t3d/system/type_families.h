#pragma once

#include <string>
#include <vector>

#include "t3d/core/config/node.h"
#include "t3d/core/registry.h"

namespace t3d::system {

/// A block of a configuration whose keys depend on a type that is named beside it: "system.geometry", named
/// by "system.geometry_type". One table for all who walk over a configuration.
struct TypedBlock {
  std::string path;       ///< "data", "system", "system.geometry", ...
  std::string family;     ///< as t3d list calls it
  std::string otherwise;  ///< the type where none is named; empty: one must be
  FamilyInfo (*describe)();
  /// The registry's name for a type's name, empty for an unknown one.
  std::string (*own_name)(const std::string& type);
  /// Throws UserError for a block that does not fit the type. Makes nothing.
  void (*check)(const std::string& type, const config::Node& block, const std::string& path);
};

const std::vector<TypedBlock>& typed_blocks();

/// The type that a configuration names for the block, or `otherwise`.
std::string type_of(const config::Node& root, const TypedBlock& block);

/// The fields of that type; empty for an unknown one.
std::vector<config::FieldInfo> fields_of(const config::Node& root, const TypedBlock& block);

}  // namespace t3d::system
