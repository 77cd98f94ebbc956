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
/// train. Builds the structs, the scene and the optimizers that training builds, reads the configs of models
/// but not their weights, and looks whether the files that are named are there. Writes nothing. What it finds
/// is what training finds before its first step. Throws as read_yaml_file and apply_override do.
std::vector<CheckLine> check_experiment(const std::string& file, const std::vector<std::string>& overrides);

}  // namespace t3d::system
