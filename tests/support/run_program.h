#pragma once

#include <sys/wait.h>

#include <cstdio>
#include <string>

#include "tests/support/temporary_folder.h"

/// Runs the built t3d as a person would, for end-to-end tests.
namespace t3d::testing {

struct ProgramResult {
  int exit_code = -1;
  std::string output;  ///< standard output and standard error together
};

/// `arguments` is a piece of a shell command line, such as "render mesh.obj -o out".
inline ProgramResult run_t3d(const std::string& arguments, const std::string& environment = "") {
  const std::string command = environment + " '" T3D_PROGRAM "' " + arguments + " 2>&1 < /dev/null";
  ProgramResult result;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return result;
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) result.output.append(buffer, n);
  const int status = pclose(pipe);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace t3d::testing
