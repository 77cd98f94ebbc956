#pragma once

#include <c10/core/Device.h>

#include <string>
#include <vector>

namespace t3d::cli {

/// "auto", "cpu" or "cuda". Throws SystemError for cuda where there is none.
c10::Device device_named(const std::string& name);

/// Whether this processor multiplies bfloat16 faster than float.
bool has_bfloat16();

/// The file of a recipe: a path, or the name of a file in configs/ below the working folder or t3d's own
/// sources. Throws UserError that suggests the nearest.
std::string find_recipe(const std::string& name);

/// threestudio's own command line, `--config FILE --train --gpu 0 key=value`, as our `train --config ...`,
/// and `test --config ...` under the name that tells it from the program's own tests. Other command lines
/// come back as they are. Throws UserError for two modes at once.
std::vector<std::string> translate_launch(const std::vector<std::string>& arguments);

/// The words after the program's name, for cmd.txt.
void remember_command(int argc, char** argv);
const std::vector<std::string>& command_words();

}  // namespace t3d::cli
