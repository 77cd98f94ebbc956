#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "t3d/data/dataset.h"
#include "t3d/math/camera.h"

/// COLMAP's model files, https://colmap.github.io/format.html. Each parser takes the file's bytes, checks
/// every count against what the file can hold before it allocates, and throws UserError "name:line: ..."
/// (text) or "name: byte N: ..." (binary).
namespace t3d::data {

struct ColmapImage {
  std::string name;
  uint32_t camera_id = 0;
  Mat4d camera_to_world = Mat4d::Identity();  // OpenGL axes
};

/// Where a data set's models are: folders with cameras.bin or cameras.txt, several for sparse/0, sparse/1,
/// ...
struct ColmapFolders {
  std::string folder;               // that holds the images' folder
  std::vector<std::string> models;  // empty: there is none
  bool is_model_named =
      false;  // the user named a model's folder; the images lie in it, beside it or above it
};
/// `path` is the data set's folder or a model's.
ColmapFolders find_colmap_models(const std::string& path);

/// Reads the model with the most images: COLMAP writes several when it cannot join them.
Dataset read_colmap(const ColmapFolders& found, const PosedImagesOptions& options);

std::map<uint32_t, Lens> parse_colmap_cameras(std::string_view bytes, const std::string& name, bool is_text);
std::vector<ColmapImage> parse_colmap_images(std::string_view bytes, const std::string& name, bool is_text);
/// Positions only.
std::vector<Vec3d> parse_colmap_points(std::string_view bytes, const std::string& name, bool is_text);

}  // namespace t3d::data
