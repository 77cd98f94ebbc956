#pragma once

#include <iostream>
#include <string>

namespace t3d::cli {

/// A line of the standard output with the path of what the command has made, so that a script can take it
/// from there: the folder where there is one, else each file. Everything else that commands say about their
/// work goes to standard error.
inline void print_result(const std::string& path) {
  std::cout << path << std::endl;
}

}  // namespace t3d::cli
