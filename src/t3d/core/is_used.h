#pragma once

#include <string>

namespace t3d {

/// Whether there is anything at `folder` but an empty folder.
bool is_used(const std::string& folder);

}  // namespace t3d
