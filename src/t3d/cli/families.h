#pragma once

#include <string>
#include <vector>

#include "t3d/core/registry.h"

namespace t3d::cli {

/// Every family of types that configuration files can name, in the order of `t3d list`.
std::vector<FamilyInfo> families();

/// What `t3d list` prints: the families with their names.
std::string list_text(const std::vector<FamilyInfo>& all);
/// What `t3d list FAMILY` prints: types with their keys, types, defaults, ranges and one sentence each.
std::string list_text(const FamilyInfo& family);
/// docs/reference.md as a whole; a test holds the page to it.
std::string reference_page();

}  // namespace t3d::cli
