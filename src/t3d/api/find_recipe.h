#pragma once

#include <c10/core/Device.h>

#include <string>

namespace t3d::api {

/// The file of a recipe: a path, or the name of a file in configs/ below the working folder or in t3d's own
/// share folder. Throws UserError that suggests the nearest, SystemError where there are no recipes.
std::string find_recipe(const std::string& name);

/// "auto", "cpu" or "cuda". Throws SystemError for cuda where there is none, UserError for another name.
c10::Device device_named(const std::string& name);

}  // namespace t3d::api
