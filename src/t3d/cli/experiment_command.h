#pragma once

#include <string>
#include <vector>

#include "t3d/api/device_named.h"
#include "t3d/api/find_recipe.h"

namespace t3d::cli {

using api::device_named;
using api::find_recipe;

/// Whether this processor multiplies bfloat16 faster than float.
bool has_bfloat16();

/// threestudio's own command line, `--config FILE --train --gpu 0 key=value`, as our `train --config ...`,
/// and `test --config ...` under the name that tells it from the program's own tests. Other command lines
/// come back as they are. Throws UserError for two modes at once.
std::vector<std::string> translate_launch(const std::vector<std::string>& arguments);

/// The words after the program's name, for cmd.txt.
void remember_command(int argc, char** argv);
const std::vector<std::string>& command_words();

}  // namespace t3d::cli
