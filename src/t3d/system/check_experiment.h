#pragma once

#include <string>
#include <vector>

namespace t3d::system {

/// One thing that a configuration names or needs.
struct CheckLine {
  std::string what, value;
  std::string problem;  ///< empty: it is all right
};

/// What `t3d check` prints: what the file with these overrides needs, and what of it stands in the way of t3d
/// train. It does all that training does before its first step (prepare_training), but for the numbers of
/// models, of which it reads names and shapes, and for shapes that would be learned first. Training stops at
/// the first problem among the lines, with the same message; where there is none, it starts. The others are
/// problems that would show once that one is mended. Writes nothing. Throws as load_experiment does.
std::vector<CheckLine> check_experiment(const std::string& file, const std::vector<std::string>& overrides);

}  // namespace t3d::system
