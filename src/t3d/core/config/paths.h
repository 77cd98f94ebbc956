#pragma once

#include <string>
#include <vector>

#include "t3d/core/config/node.h"

/// Places in a configuration by their keys, "system.geometry.radius" or "data.width[0]": the one way in which
/// overrides, interpolations and everybody else look values up.
namespace t3d::config {

/// "a.b[0].c" gives a, b, 0, c; empty parts are left out.
std::vector<std::string> split_path(const std::string& path);

/// "a.b.0.c" of such parts.
std::string path_text(const std::vector<std::string>& parts);

/// The entry of a mapping, or the element of a list by its number; null where there is none.
const Node* child_of(const Node& node, const std::string& key);

/// The node at a path, or null; an empty path is the root.
const Node* find_at(const Node& root, const std::string& path);

/// Puts `value` at a path, where mappings are made that are missing. Returns it in its place.
Node& set_at(Node& root, const std::string& path, Node value);

}  // namespace t3d::config
