#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>

#include "t3d/core/error.h"
#include "t3d/data/dataset.h"
#include "t3d/data/scene_fit.h"
#include "t3d/io/npy.h"

namespace t3d::data {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kRow = 17;  // 3x5 matrix: rotation, position, (height, width, focal length); two depths
constexpr int kDepths = 8;    // places along an optical axis that stand for what an image shows
constexpr double kNearest = 1, kFarthest = 99;  // percentiles of the depths over the images

bool is_image_name(const fs::path& path) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const char* known : {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".tga"})
    if (ending == known) return true;
  return false;
}

/// Images in Python's order of their names, which is that of the rows.
std::vector<std::string> image_names(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    if (entry.is_regular_file(ignored) && is_image_name(entry.path()))
      names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

struct ImageFolder {
  std::string name;
  std::vector<std::string> images;
};

/// images/ where it is there; otherwise the least reduced of images_2, images_4, ...
ImageFolder find_image_folder(const std::string& folder) {
  std::vector<std::string> folders = {"images"};
  std::vector<std::string> reduced;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    if (entry.is_directory(ignored) && entry.path().filename().string().rfind("images_", 0) == 0)
      reduced.push_back(entry.path().filename().string());
  std::sort(reduced.begin(), reduced.end(), natural_less);
  folders.insert(folders.end(), reduced.begin(), reduced.end());
  for (const char* other : {"input", "rgb", "."}) folders.push_back(other);
  for (const std::string& name : folders)
    if (std::vector<std::string> images = image_names(fs::path(folder) / name); !images.empty())
      return {name, std::move(images)};
  throw UserError(
      cat(folder,
          ": poses_bounds.npy has no images beside it; looked in images/, images_4/ and the like. "
          "Put them there."));
}

/// LLFF's cameras have the axes down, right, backward.
Mat4d pose_of(const double* row, const std::string& place) {
  Mat4d m = Mat4d::Identity();
  for (int r = 0; r < 3; ++r) {
    m(r, 0) = row[5 * r + 1];
    m(r, 1) = -row[5 * r];
    m(r, 2) = row[5 * r + 2];
    m(r, 3) = row[5 * r + 3];
  }
  return checked_pose(m, place);
}

Lens lens_of(const double* row, const std::string& place) {
  const double height = row[4], width = row[9], focal = row[14];
  const auto is_side = [](double v) { return v >= 1 && v <= 32768 && v == std::floor(v); };
  if (!is_side(height) || !is_side(width) || !(focal > 0) || !std::isfinite(focal))
    throw UserError(cat(place, ": height, width and focal length are ", height, ", ", width, ", ", focal,
                        "; numbers of pixels were expected. Write poses_bounds.npy again."));
  Lens lens;
  lens.width = static_cast<int>(width);
  lens.height = static_cast<int>(height);
  lens.fx = lens.fy = static_cast<float>(focal);
  lens.cx = lens.cy = -1;
  return lens;
}

double percentile(std::vector<double> values, double percent) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(percent / 100 * static_cast<double>(values.size() - 1) + 0.5)];
}

/// What the images show: places along their axes and through their corners, evenly by 1 / depth, those at
/// `far` included or not.
std::vector<Vec3d> places_shown(const std::vector<Frame>& frames, double near, double far, bool with_far) {
  std::vector<Vec3d> places;
  for (const Frame& frame : frames) {
    const double x = 0.5 * frame.lens.width / static_cast<double>(frame.lens.fx),
                 y = 0.5 * frame.lens.height / static_cast<double>(frame.lens.fy);
    for (int i = 0; i < kDepths; ++i) {
      const double part = static_cast<double>(i) / (with_far ? kDepths - 1 : kDepths),
                   depth = 1 / ((1 - part) / near + part / far);
      for (const auto& [u, v] : {std::pair{0., 0.}, {x, y}, {-x, y}, {x, -y}, {-x, -y}})
        places.push_back(
            (frame.camera_to_world * Eigen::Vector4d(u * depth, v * depth, -depth, 1)).head<3>());
    }
  }
  return places;
}

}  // namespace

Dataset read_llff(const std::string& folder, const PosedImagesOptions&) {
  Dataset set;
  set.kind = "llff";
  set.folder = folder;
  const std::string path = folder + "/poses_bounds.npy";
  const io::NpyArray rows = io::read_npy(path);
  if (rows.shape.size() != 2 || rows.shape[1] != kRow || rows.shape[0] == 0)
    throw UserError(cat(path, ": the array has ", rows.values.size(), " numbers in ", rows.shape.size(),
                        " dimensions where rows of 17 were expected, one for each image."));
  const auto n = static_cast<size_t>(rows.shape[0]);
  const ImageFolder images = find_image_folder(folder);
  if (images.images.size() != n)
    throw UserError(
        cat(path, ": holds ", n, " cameras and ", images.name, "/ ", images.images.size(),
            " images. Images belong to rows in the order of their names: remove those that have none."));
  if (images.name != "images") set.notes.push_back(cat("the images are in ", images.name, "/"));
  std::vector<double> near, far;
  std::vector<Mat4d> poses;
  for (size_t i = 0; i < n; ++i) {
    const double* row = rows.values.data() + kRow * static_cast<int64_t>(i);
    Frame frame;
    frame.place = cat(path, ": row ", i);
    frame.name = images.name + "/" + images.images[i];
    frame.written = images.images[i];
    frame.folder = folder + "/" + images.name;
    frame.lens = lens_of(row, frame.place);
    frame.camera_to_world = pose_of(row, frame.place);
    poses.push_back(frame.camera_to_world);
    if (!(row[15] > 0) || !(row[16] > row[15]) || !std::isfinite(row[16]))
      throw UserError(cat(frame.place, ": the depths are ", row[15], " to ", row[16],
                          "; a nearest and a farthest one were expected. Write poses_bounds.npy again."));
    near.push_back(row[15]);
    far.push_back(row[16]);
    set.unsplit.push_back(std::move(frame));
  }
  const double nearest = percentile(near, kNearest), farthest = percentile(far, kFarthest);
  // Cameras around an object look at one place; the middle of the depths stands for it elsewhere.
  std::vector<Vec3d> middle;
  if (!camera_focus(poses).is_certain) middle = places_shown(set.unsplit, nearest, farthest, false);
  set.scene_from_world = fit_photographs(poses, middle, folder, set.aabb_scale);
  set.aabb_scale =
      box_around(poses, places_shown(set.unsplit, nearest, farthest, true), set.scene_from_world);
  return set;
}

}  // namespace t3d::data
