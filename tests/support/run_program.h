#pragma once

#include <string>

#include "tests/support/run_command.h"
#include "tests/support/temporary_folder.h"

/// Runs the built t3d as a person would, for end-to-end tests.
namespace t3d::testing {

/// `arguments` is a piece of a shell command line, such as "render mesh.obj -o out".
inline ProgramResult run_t3d(const std::string& arguments, const std::string& environment = "") {
  return run_command(environment + " '" T3D_PROGRAM "' " + arguments);
}

}  // namespace t3d::testing
