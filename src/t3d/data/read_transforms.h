#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "t3d/data/dataset.h"

namespace t3d::data {

/// One transforms JSON file: NeRF-synthetic's keys, instant-ngp's, or both.
struct Transforms {
  std::vector<Frame> frames;
  std::optional<int> aabb_scale;
  std::optional<double> scale;  // instant-ngp: scene = world * scale + offset - 0.5
  std::optional<Vec3d> offset;
  std::optional<std::pair<Vec3d, Vec3d>> aabb;  // the object's box in the world
  bool from_mitsuba = false;                    // the world's y is up; the cameras are converted already
  bool white_transparent = false, black_transparent = false, refuse_rays = true;
  std::vector<std::string> split_names[3];  // nerfstudio's lists for train, val, test, as the file has them
  bool has_split_names = false;
  std::vector<std::string> notes;  // what was ignored or left out
};

/// `name` is what messages call the file, `folder` what image paths are relative to, and `prefix` is put
/// before the views' names. What becomes of each key: transforms_keys.h. Throws UserError.
Transforms parse_transforms(std::string_view text, const std::string& name, const std::string& folder,
                            const std::string& prefix = "");

}  // namespace t3d::data
