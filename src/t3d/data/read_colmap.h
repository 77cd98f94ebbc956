#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

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

std::map<uint32_t, Lens> parse_colmap_cameras(std::string_view bytes, const std::string& name, bool is_text);
std::vector<ColmapImage> parse_colmap_images(std::string_view bytes, const std::string& name, bool is_text);
/// Positions only.
std::vector<Vec3d> parse_colmap_points(std::string_view bytes, const std::string& name, bool is_text);

}  // namespace t3d::data
