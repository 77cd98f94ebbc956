#pragma once

#include <string>

namespace t3d::cli {

/// A folder's name for what a prompt makes, "a_red_mushroom": letters and digits, at most 80 bytes of them,
/// never empty.
std::string folder_name(const std::string& prompt);

}  // namespace t3d::cli
