#include "t3d/io/mesh_textures.h"

#include <algorithm>
#include <filesystem>

#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/io/image_format.h"

namespace t3d::io {
namespace fs = std::filesystem;

int MeshTextures::find(const std::string& name, const std::string& folder) {
  has_named_ = true;
  if (!options_.load_textures) return -1;
  auto paths = paths_.find(folder);
  if (paths == paths_.end()) {
    std::vector<std::string> folders = {folder};
    if (folder_of(path_) != folder) folders.push_back(folder_of(path_));
    PathOptions looks;
    for (const char* const* ending = image_endings(); *ending != nullptr; ++ending)
      looks.other_endings.emplace_back(*ending);
    paths = paths_.emplace(folder, PathResolver(folders, looks)).first;
  }
  ResolvedPath file = paths->second.find(name);
  const size_t comment = name.find(" #");
  if (!file && comment != std::string::npos) file = paths->second.find(name.substr(0, comment));
  if (file) return read(file.path);
  if (options_.strict)
    throw SystemError(cat(path_, ": its texture is missing: ", file.tried,
                          ". Put it there, leave out --strict, or pass --no-textures."));
  if (std::find(missing_.begin(), missing_.end(), file.tried) == missing_.end())
    missing_.push_back(file.tried);
  return -1;
}

int MeshTextures::read(const std::string& file) {
  const auto known = by_file_.find(file);
  if (known != by_file_.end()) return known->second;
  try {
    textures_.push_back(read_image(file, 4));
  } catch (const UserError& error) {
    throw UserError(cat(error.what(), " Or pass --no-textures."));
  }
  return by_file_[file] = static_cast<int>(textures_.size()) - 1;
}

void MeshTextures::put_on_the_rest(std::vector<Material>& materials, bool looks_around) {
  if (!options_.load_textures) return;
  std::string file = options_.texture;
  if (file.empty()) {
    if (has_named_ || !looks_around) return;
    file = neighbour();
    if (file.empty()) return;
    log::info(cat(path_, " names no texture; using ", file, " as its texture"));
  }
  const int texture = read(file);
  for (Material& m : materials) {
    if (m.base_texture.is_set()) continue;
    m.base_texture.texture = texture;
    m.uses_vertex_colours = false;
    m.base_colour = Vec3f::Ones();
  }
}

std::string MeshTextures::neighbour() const {
  const std::string stem = fs::path(path_).stem().string();
  const std::string word = stem.substr(0, stem.find_first_of("_-. "));
  std::vector<std::string> found;
  std::error_code ignored;
  const std::string folder = folder_of(path_);
  for (const auto& entry : fs::directory_iterator(folder.empty() ? "." : folder, ignored)) {
    if (!is_image_file(entry.path().string())) continue;
    const std::string name = entry.path().stem().string();
    for (const char* kind : {"_texture", "_diffuse", "_albedo", "_basecolor", ""})
      if (name == stem + kind || name == word + kind) {
        found.push_back(entry.path().string());
        break;
      }
  }
  return found.size() == 1 ? found[0] : "";
}

void MeshTextures::say() {
  for (auto& [folder, paths] : paths_) paths.log_notes(path_);
  if (missing_.empty()) return;
  log::warning(cat(path_, ": a texture is missing, and what it belongs to is drawn in its plain colour: ",
                   missing_[0], missing_.size() > 1 ? cat(" (and ", missing_.size() - 1, " more)") : ""));
}

}  // namespace t3d::io
