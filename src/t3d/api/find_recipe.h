#pragma once

#include <string>

namespace t3d::api {

/// The file of a recipe: a path, or the name of a file in configs/ below the working folder or in t3d's own
/// share folder. Throws UserError that suggests the nearest, SystemError where there are no recipes.
std::string find_recipe(const std::string& name);

}  // namespace t3d::api
