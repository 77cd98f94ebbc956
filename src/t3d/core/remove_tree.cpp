#include "t3d/core/remove_tree.h"

#include <dirent.h>
#include <sys/stat.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "t3d/core/error.h"
#include "t3d/core/file_calls.h"

namespace t3d {
namespace {

[[noreturn]] void fail(const std::string& path) {
  throw SystemError(cat(path, ": cannot be removed", errno_text(), ". Check the permissions."));
}

std::vector<std::string> entries_of(const std::string& folder) {
  const std::unique_ptr<DIR, int (*)(DIR*)> open(opendir(folder.c_str()), closedir);
  if (!open) fail(folder);
  std::vector<std::string> entries;
  while (const dirent* entry = readdir(open.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") entries.push_back(folder + "/" + name);
  }
  return entries;
}

}  // namespace

void remove_tree(const std::string& path) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return;
    fail(path);
  }
  if (!S_ISDIR(info.st_mode)) {
    if (file_calls().remove(path.c_str()) != 0) fail(path);
    return;
  }
  for (const std::string& entry : entries_of(path)) remove_tree(entry);
  if (file_calls().remove_folder(path.c_str()) != 0) fail(path);
}

}  // namespace t3d
