#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "t3d/data/posed_images.h"
#include "t3d/math/camera.h"

/// What the format readers hand to read_posed_images(): cameras in world space and file names, no pixels.
namespace t3d::data {

struct Frame {
  std::string name;     // relative to the data set's folder, as messages show it
  std::string place;    // "transforms.json: frames[3]", for messages
  std::string written;  // the image's path as the file has it
  std::string folder;   // that `written` and `mask` are relative to
  std::string mask;     // path of an image whose black pixels do not count, as the file has it; empty: none
  double crop_radius = 0;       // pixels farther from the image's middle do not count; 0: all do
  Lens lens;                    // width 0: the image's own, and the principal point is its centre
  double fov_x = 0, fov_y = 0;  // used for focal lengths that are 0; radians
  Mat4d camera_to_world = Mat4d::Identity();  // OpenGL axes, a rotation and a shift

  std::string file, mask_file;  // what find_images() found; empty: the image is not there, there is no mask
};

struct Dataset {
  std::string kind, folder;
  std::vector<Frame> train, val, test;
  std::vector<Frame> unsplit;  // a set without splits: holdout decides
  Mat4d scene_from_world = Mat4d::Identity();
  int aabb_scale = 1;
  bool is_scaled = true;  // false: scene_from_world is a guess that find_scene() may replace
  bool white_transparent = false, black_transparent = false;  // colours that stand for transparency
  bool refuse_rays = false;        // an image with a file of its own rays beside it is refused
  std::vector<std::string> notes;  // for the log: what was done that the files do not say

  /// The four lists above.
  std::array<std::vector<Frame>*, 4> lists() { return {&train, &val, &test, &unsplit}; }
};

/// A camera matrix as files have them, checked and cleaned: finite, last row 0 0 0 1, not singular, not
/// mirrored, columns at right angles. A uniform scale is taken out and small errors of printing are removed
/// by taking the nearest rotation. Throws UserError that begins with `place`.
Mat4d checked_pose(const Mat4d& matrix, const std::string& place);

/// Swaps between OpenGL's axes (right, up, backward) and computer vision's (right, down, forward).
Mat4d flip_camera_axes(const Mat4d& camera_to_world);

/// Throws UserError for a file name that is empty or holds a zero byte.
void check_file_name(const std::string& name, const std::string& place);

/// Orders "2.png" before "10.png".
bool natural_less(const std::string& a, const std::string& b);

/// One similarity that scales the box's longest side to 1 / margin and centres it on the origin.
Mat4d fit_box(const Vec3d& min, const Vec3d& max, double margin);

/// Throws UserError unless it is a power of two from 1 to 128.
int checked_aabb_scale(double value, const std::string& place);

Dataset read_transforms_splits(const std::vector<std::string>& train_val_test,
                               const PosedImagesOptions& options);
Dataset read_transforms_single(const std::string& path, const PosedImagesOptions& options);
Dataset read_nsvf(const std::string& folder, const PosedImagesOptions& options);
/// poses_bounds.npy with images/ or images_4/ (or another factor) beside it.
Dataset read_llff(const std::string& folder, const PosedImagesOptions& options);

}  // namespace t3d::data
