#pragma once

#include <sys/wait.h>

#include <cstdio>
#include <string>

/// Runs programs as a person would, for end-to-end tests.
namespace t3d::testing {

struct ProgramResult {
  int exit_code = -1;
  std::string output;  ///< standard output and standard error together
};

/// `command` is a shell command line; it reads nothing.
inline ProgramResult run_command(const std::string& command) {
  ProgramResult result;
  FILE* pipe = popen((command + " 2>&1 < /dev/null").c_str(), "r");
  if (pipe == nullptr) return result;
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) result.output.append(buffer, n);
  const int status = pclose(pipe);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace t3d::testing
