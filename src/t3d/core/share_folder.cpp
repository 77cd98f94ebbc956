#include "t3d/core/share_folder.h"

#include <dlfcn.h>
#include <link.h>

#include <filesystem>

#include "t3d/core/text.h"

namespace t3d {
namespace {

namespace fs = std::filesystem;

std::string resolved(const fs::path& path) {
  std::error_code ignored;
  const fs::path found = fs::weakly_canonical(fs::absolute(path, ignored), ignored);
  return ignored ? path.string() : found.string();
}

}  // namespace

std::optional<std::string> find_share_folder(const std::string& file) {
  fs::path above = fs::path(resolved(file)).parent_path();
  for (;;) {
    std::error_code ignored;
    const fs::path share = above / "share" / "t3d";
    if (fs::is_directory(share / "configs", ignored)) return resolved(share);
    if (!above.has_relative_path()) return std::nullopt;
    above = above.parent_path();
  }
}

std::optional<std::string> share_folder() {
  return find_share_folder(code_file());
}

std::string share_file(const std::string& name) {
  const auto folder = share_folder();
  std::error_code ignored;
  if (!folder || !fs::exists(fs::path(*folder) / name, ignored)) return "";
  return resolved(fs::path(*folder) / name);
}

std::string share_folder_remark() {
  if (const auto folder = share_folder()) return cat("t3d's own files are in ", *folder, ".");
  return cat("t3d's own files, share/t3d, are in no folder above ", code_file(),
             ": move an installed t3d as a whole, or install it again.");
}

std::string program_file() {
  return resolved("/proc/self/exe");
}

std::string code_file() {
  // The program itself has no name here; a library has the one that it was loaded by.
  Dl_info ignored{};
  link_map* map = nullptr;
  const int found = dladdr1(reinterpret_cast<void*>(&share_folder), &ignored, reinterpret_cast<void**>(&map),
                            RTLD_DL_LINKMAP);
  return found != 0 && map != nullptr && map->l_name[0] != '\0' ? resolved(map->l_name) : program_file();
}

}  // namespace t3d
