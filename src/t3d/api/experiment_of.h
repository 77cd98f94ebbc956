#pragma once

#include <string>

#include "t3d/system/experiment.h"
#include "t3d/t3d.h"

namespace t3d::api {

/// What messages call the members of a Recipe.
struct RecipeWords {
  const char *prompt = "prompt", *model = "model", *folder = "folder", *resume = "resume";
};

/// The configuration of a recipe: its file, the model, the overrides, then the other members; the later ones
/// win. `file` and `model` are the paths that were found for the recipe's; `model` may be empty. Loads the
/// plugins. Throws UserError.
system::Experiment experiment_of(const Recipe& recipe, const std::string& file, const std::string& model,
                                 const RecipeWords& words = {});

}  // namespace t3d::api
