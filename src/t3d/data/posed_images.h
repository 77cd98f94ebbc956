#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "t3d/io/image.h"
#include "t3d/math/camera.h"

namespace t3d::data {

/// One image with its camera. The camera is in scene space (docs/conventions.md): the object, or the inner
/// region of a photographed scene, fills the cube [-0.5, 0.5]^3.
struct View {
  Camera camera;     // camera_to_world maps to scene space; its lens fits rgba
  std::string name;  // file name relative to the data set, for messages and reports
  io::Image8 rgba;   // 4 channels, straight alpha; empty when PosedImagesOptions::load_images is false
  io::Image8 mask;   // 1 channel: pixels that are 0 are neither trained on nor scored; empty: all count
};

struct PosedImages {
  std::vector<View> train, val, test;
  float aabb_scale = 1.0f;        // the whole box is +-0.5 * aabb_scale, a power of two
  bool has_alpha = false;         // some pixel of some image is not opaque
  std::optional<Vec3f> backdrop;  // the one colour behind an object in opaque images (find_backdrop)
  Mat4f scene_from_world = Mat4f::Identity();  // similarity: uniform scale, rotation, shift
  std::vector<std::string> missing;            // images that the data set lists and the disk lacks
  std::vector<std::string> notes;              // for the log: what was done that the files do not say
  std::string kind;                            // "nerf-synthetic", "instant-ngp", "nsvf", "colmap" or "llff"
  std::string folder;

  /// Scene units per world unit.
  float scene_scale() const { return scene_from_world.block<3, 1>(0, 0).norm(); }
};

struct PosedImagesOptions {
  /// For data sets that have no test split of their own: images 0, N, 2N, ... become the test split.
  /// 0: every image is for training. -1: 8, unless the data set has a test split.
  int holdout = -1;
  /// Images whose longer side is above this are reduced (area average) to it, lenses alike; 0: as they are.
  int max_size = 0;
  /// False: cameras, sizes and names only; pixels stay on disk.
  bool load_images = true;
  /// Overrides the data set's own; 0: as the data set says. A power of two from 1 to 128.
  int aabb_scale = 0;
  /// Scene units that the world's bounding box leaves to the cube's faces: the box's longest side is scaled
  /// to 1 / box_margin.
  float box_margin = 1.05f;
  /// The decoded images together may not need more; 0: no limit.
  size_t max_bytes = 0;
  /// Seconds of which decoding may take `decode_share`, by the time that the first image takes; 0: any.
  double time_budget = 0;
  double decode_share = 0.35;
};

/// Reads a data set; `path` is its folder, or one transforms JSON file. What it is follows from its files:
///   transforms_train.json (_val, _test)   NeRF-synthetic
///   {train,val,test}/transforms.json      the same, a folder a split (the ShapeNet renders of GET3D)
///   transforms.json                       instant-ngp, nerfstudio: lenses, per-frame intrinsics, masks
///   intrinsics.txt, pose/, rgb/           NSVF
///   sparse/0/cameras.{bin,txt}, sparse/   COLMAP, images in images/
///   poses_bounds.npy                      LLFF, images in images/, images_4/, ...
/// docs/datasets.md has the formats and the transform to scene space. Images are decoded by all cores.
/// Throws UserError (malformed file, wrong image size, singular pose, empty split, cameras that see nothing,
/// nothing recognised) and SystemError (unreadable file). Images that do not exist are listed in `missing`
/// and skipped.
PosedImages read_posed_images(const std::string& path, const PosedImagesOptions& options = {});

/// One line for the log: kind, number of views per split, sizes, missing images, memory.
std::string describe(const PosedImages& images);

}  // namespace t3d::data
