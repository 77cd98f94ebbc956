#include "t3d/core/is_used.h"

#include <filesystem>

namespace t3d {

bool is_used(const std::string& folder) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (!fs::exists(folder, ignored)) return false;
  return !fs::is_directory(folder, ignored) || !fs::is_empty(folder, ignored);
}

}  // namespace t3d
