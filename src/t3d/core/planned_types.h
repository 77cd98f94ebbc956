#pragma once

#include <string>

namespace t3d {

/// Types of threestudio and its relatives that a file may name and that are not built yet.
bool is_planned_type(const std::string& type);

}  // namespace t3d
