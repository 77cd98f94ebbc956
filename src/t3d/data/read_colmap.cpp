#include "t3d/data/read_colmap.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <set>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/data/dataset.h"
#include "t3d/data/scene_fit.h"

namespace t3d::data {
namespace {

namespace fs = std::filesystem;

struct ModelFile {
  std::string path;
  bool is_text = false;
};

ModelFile find(const std::string& folder, const char* stem) {
  for (const bool is_text : {false, true}) {
    const std::string path = cat(folder, "/", stem, is_text ? ".txt" : ".bin");
    if (fs::is_regular_file(path)) return {path, is_text};
  }
  return {};
}

/// Folders that hold models by their numbers, or one model.
std::vector<std::string> models_in(const fs::path& folder) {
  std::vector<std::string> models;
  const auto is_model = [](const fs::path& path) { return !find(path.string(), "cameras").path.empty(); };
  if (is_model(folder)) return {folder.string()};
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    const bool is_number = name.find_first_not_of("0123456789") == std::string::npos;
    if (is_number && is_model(entry.path())) models.push_back(entry.path().string());
  }
  std::sort(models.begin(), models.end(), natural_less);
  return models;
}

/// Images in a model, for binary ones from the file's head.
uint64_t count_images(const std::string& model_folder) {
  const ModelFile file = find(model_folder, "images");
  if (file.path.empty()) return 0;
  const std::string bytes = read_whole_file(file.path, uint64_t{4} << 30);
  if (file.is_text) return parse_colmap_images(bytes, file.path, true).size();
  uint64_t n = 0;
  if (bytes.size() >= sizeof n) std::memcpy(&n, bytes.data(), sizeof n);
  return n;
}

std::string largest_model(const std::vector<std::string>& models) {
  if (models.size() == 1) return models.front();
  std::string largest;
  uint64_t n_largest = 0;
  for (const std::string& model : models) {
    const uint64_t n = count_images(model);
    if (largest.empty() || n > n_largest) largest = model, n_largest = n;
  }
  return largest;
}

/// The folder from which the image is found: the named one, or up to two above a model's.
std::string images_root(const ColmapFolders& found, const std::string& image) {
  std::error_code ignored;
  fs::path folder = fs::absolute(found.folder, ignored).lexically_normal();
  if (folder.filename().empty()) folder = folder.parent_path();
  for (int up = 0; found.is_model_named && up < 3 && folder.has_relative_path();
       ++up, folder = folder.parent_path())
    for (const char* images : {"images", "input", "rgb", "."})
      if (fs::is_regular_file(folder / images / image, ignored)) return folder.string();
  return found.folder;
}

/// COLMAP's name for an image's mask: its own with ".png" behind, in masks/.
std::string mask_beside(const std::string& folder, const std::string& name) {
  const std::string path = folder + "/masks/" + name + ".png";
  return fs::is_regular_file(path) ? path : std::string();
}

}  // namespace

ColmapFolders find_colmap_models(const std::string& path) {
  ColmapFolders found{path, {}, false};
  for (const char* sub : {"sparse", "colmap/sparse", "dense/sparse", "dense/0/sparse", "distorted/sparse"}) {
    found.models = models_in(fs::path(path) / sub);
    if (found.models.empty()) continue;
    if (std::string(sub).rfind("dense", 0) == 0) found.folder = (fs::path(path) / sub).parent_path().string();
    return found;
  }
  found.models = models_in(path);
  found.is_model_named = !found.models.empty();
  return found;
}

Dataset read_colmap(const ColmapFolders& found, const PosedImagesOptions&) {
  Dataset set;
  set.kind = "colmap";
  const std::string model_folder = largest_model(found.models);
  const ModelFile cameras_file = find(model_folder, "cameras"), images_file = find(model_folder, "images"),
                  points_file = find(model_folder, "points3D");
  if (images_file.path.empty())
    throw UserError(
        cat(model_folder, ": images.bin or images.txt is missing beside the cameras. Copy the whole model."));
  const auto lenses =
      parse_colmap_cameras(read_whole_file(cameras_file.path), cameras_file.path, cameras_file.is_text);
  const auto images = parse_colmap_images(read_whole_file(images_file.path, uint64_t{4} << 30),
                                          images_file.path, images_file.is_text);
  std::vector<Vec3d> points;
  if (!points_file.path.empty())
    points = parse_colmap_points(read_whole_file(points_file.path, uint64_t{4} << 30), points_file.path,
                                 points_file.is_text);
  if (images.empty())
    throw UserError(
        cat(images_file.path, ": the model has no images; COLMAP registered none. Match them again."));
  set.folder = images_root(found, images.front().name);
  std::set<std::string> seen;
  std::vector<Mat4d> poses;
  bool has_masks = false;
  for (const ColmapImage& image : images) {
    Frame frame;
    frame.place = cat(images_file.path, ": ", image.name);
    frame.name = "images/" + image.name;
    frame.written = image.name;
    frame.folder = set.folder + "/images";
    frame.mask_file = mask_beside(set.folder, image.name);
    has_masks = has_masks || !frame.mask_file.empty();
    if (!seen.insert(image.name).second) throw UserError(cat(frame.place, ": the image is listed twice."));
    const auto lens = lenses.find(image.camera_id);
    if (lens == lenses.end())
      throw UserError(cat(frame.place, ": camera ", image.camera_id, " is not in ", cameras_file.path,
                          ". Both files must come from one model."));
    frame.lens = lens->second;
    frame.camera_to_world = image.camera_to_world;
    poses.push_back(image.camera_to_world);
    set.unsplit.push_back(std::move(frame));
  }
  set.scene_from_world = fit_photographs(poses, points, set.folder, set.aabb_scale);
  if (found.models.size() > 1)
    set.notes.push_back(cat("COLMAP made ", found.models.size(), " models; ", model_folder,
                            ", the largest with ", images.size(), " images, is taken"));
  if (!has_masks && fs::is_directory(set.folder + "/masks"))
    set.notes.push_back(cat(set.folder,
                            "/masks is not used: COLMAP's masks are named after their images, masks/",
                            images.front().name, ".png"));
  return set;
}

}  // namespace t3d::data
