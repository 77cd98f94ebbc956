#include "t3d/data/read_colmap.h"

#include <Eigen/LU>
#include <algorithm>
#include <filesystem>
#include <set>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/data/dataset.h"

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

Vec3d position(const Frame& frame) {
  return frame.camera_to_world.block<3, 1>(0, 3);
}

/// The mean of the points without the outer hundredth on either side of each axis. Without points, the place
/// nearest to all optical axes.
Vec3d scene_centre(const std::vector<Frame>& frames, const std::vector<Vec3d>& points) {
  Vec3d centre = Vec3d::Zero();
  if (points.size() >= 10) {
    for (int axis = 0; axis < 3; ++axis) {
      std::vector<double> values;
      for (const Vec3d& p : points) values.push_back(p[axis]);
      std::sort(values.begin(), values.end());
      const size_t cut = values.size() / 100;
      double sum = 0;
      for (size_t i = cut; i < values.size() - cut; ++i) sum += values[i];
      centre[axis] = sum / static_cast<double>(values.size() - 2 * cut);
    }
    return centre;
  }
  Eigen::Matrix3d a = Eigen::Matrix3d::Zero();
  Vec3d b = Vec3d::Zero();
  for (const Frame& frame : frames) {
    const Vec3d axis = frame.camera_to_world.block<3, 1>(0, 2);
    const Eigen::Matrix3d across = Eigen::Matrix3d::Identity() - axis * axis.transpose();
    a += across;
    b += across * position(frame);
  }
  a += 1e-6 * static_cast<double>(frames.size()) * Eigen::Matrix3d::Identity();  // parallel axes
  return a.ldlt().solve(b);
}

/// World to scene: the cameras' mean up becomes +z, the centre the origin, and the nearest camera is at
/// distance 1.
void set_scene(Dataset& set, const std::vector<Vec3d>& points) {
  const Vec3d centre = scene_centre(set.unsplit, points);
  Vec3d up = Vec3d::Zero();
  double nearest = 1e300;
  for (const Frame& frame : set.unsplit) {
    up += frame.camera_to_world.block<3, 1>(0, 1);
    nearest = std::min(nearest, (position(frame) - centre).norm());
  }
  if (up.norm() < 1e-3 * static_cast<double>(set.unsplit.size())) up = Vec3d::UnitZ();
  if (!(nearest > 1e-9))
    throw UserError(cat(set.folder,
                        ": a camera stands at the scene's centre, so that the scene cannot be scaled. "
                        "Convert the data set to a transforms.json with its own scale and offset."));
  const Eigen::Matrix3d rotation = Eigen::Quaterniond::FromTwoVectors(up, Vec3d::UnitZ()).toRotationMatrix();
  set.scene_from_world = Mat4d::Identity();
  set.scene_from_world.block<3, 3>(0, 0) = rotation / nearest;
  set.scene_from_world.block<3, 1>(0, 3) = -(rotation * centre) / nearest;
  // The box holds all cameras and 95 of 100 points.
  std::vector<double> reach;
  for (const Vec3d& p : points) reach.push_back((rotation * (p - centre) / nearest).cwiseAbs().maxCoeff());
  double largest = 0;
  if (!reach.empty()) {
    std::sort(reach.begin(), reach.end());
    largest = reach[reach.size() * 95 / 100];
  }
  for (const Frame& frame : set.unsplit)
    largest = std::max(largest, (rotation * (position(frame) - centre) / nearest).cwiseAbs().maxCoeff());
  set.aabb_scale = 1;
  while (set.aabb_scale < 32 && 0.5 * set.aabb_scale < largest) set.aabb_scale *= 2;
}

}  // namespace

Dataset read_colmap(const std::string& folder, const std::string& model_folder, const PosedImagesOptions&) {
  Dataset set;
  set.kind = "colmap";
  set.folder = folder;
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
    throw UserError(cat(images_file.path, ": the model has no images; COLMAP registered none."));
  std::set<std::string> seen;
  for (const ColmapImage& image : images) {
    Frame frame;
    frame.place = cat(images_file.path, ": ", image.name);
    frame.name = "images/" + image.name;
    frame.files = {folder + "/images/" + image.name, folder + "/" + image.name};
    if (!seen.insert(image.name).second) throw UserError(cat(frame.place, ": the image is listed twice."));
    const auto lens = lenses.find(image.camera_id);
    if (lens == lenses.end())
      throw UserError(cat(frame.place, ": camera ", image.camera_id, " is not in ", cameras_file.path,
                          ". Both files must come from one model."));
    frame.lens = lens->second;
    frame.camera_to_world = image.camera_to_world;
    set.unsplit.push_back(std::move(frame));
  }
  set_scene(set, points);
  return set;
}

}  // namespace t3d::data
