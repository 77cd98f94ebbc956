#include "t3d/cli/output_path.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "t3d/core/error.h"
#include "t3d/core/is_used.h"

namespace t3d::cli {
namespace {

namespace fs = std::filesystem;

/// The nearest folder above that is there must be one, and must take files.
void check_place(const std::string& path) {
  std::error_code ignored;
  fs::path place = fs::absolute(path, ignored).lexically_normal();
  while (place.has_relative_path() && !fs::exists(place, ignored)) place = place.parent_path();
  if (!fs::is_directory(place, ignored))
    throw SystemError(
        cat(path, ": ", place.string(), " is a file, expected a folder. Choose another place."));
  if (access(place.c_str(), W_OK | X_OK) != 0)
    throw SystemError(cat(path, ": nothing can be written to ", place.string(), errno_text(),
                          ". Choose another place, or check the permissions."));
}

/// A folder, or nothing yet.
void check_is_folder(const std::string& folder) {
  std::error_code ignored;
  if (fs::exists(folder, ignored) && !fs::is_directory(folder, ignored))
    throw UserError(cat(folder, ": is a file, expected a folder. Name another one."));
  check_place(folder);
}

}  // namespace

void check_run_folder(const std::string& folder, bool resume, bool overwrite,
                      const std::string& checkpoints) {
  if (resume && overwrite)
    throw UserError("--resume and --overwrite contradict each other. Pass one of them.");
  check_is_folder(folder);
  const bool used = is_used(folder);
  if (resume && !fs::is_directory(fs::path(folder) / checkpoints))
    throw UserError(cat(folder, ": there is nothing to resume (no ", checkpoints, " folder). ",
                        used ? "Pass --overwrite instead, or name another folder." : "Leave out --resume."));
  if (used && !resume && !overwrite)
    throw UserError(cat(folder, ": the folder exists and is not empty. Pass --resume or --overwrite."));
}

void check_new_folder(const std::string& folder, bool overwrite) {
  check_is_folder(folder);
  if (is_used(folder) && !overwrite)
    throw UserError(
        cat(folder, ": the folder exists and is not empty. Pass --overwrite, or name another folder."));
}

void check_output_file(const std::string& path, std::initializer_list<const char*> endings) {
  const std::string ending = fs::path(path).extension().string();
  if (std::find(endings.begin(), endings.end(), ending) == endings.end()) {
    std::string names;
    for (const char* known : endings) names += cat(names.empty() ? "" : " or ", known);
    throw UserError(cat(path, ": expected a name that ends in ", names, "."));
  }
  std::error_code ignored;
  if (fs::is_directory(path, ignored))
    throw UserError(cat(path, ": is a folder, expected the name of a file. Choose another name."));
  const fs::path folder = fs::path(path).parent_path();
  check_place(folder.empty() ? "." : folder.string());
}

}  // namespace t3d::cli
