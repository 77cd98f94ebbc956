#include "t3d/data/read_transforms.h"

#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/core/json_text.h"

namespace t3d::data {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

constexpr double kRadians = 3.14159265358979323846 / 180;  // of a degree
constexpr double kInstantNgpScale = 0.33;
constexpr double kSyntheticDistance = 1.5;  // ngp_pl's distance of NeRF-synthetic's cameras
constexpr size_t kMaxFrames = 1000000;

/// An object of the file with a name for messages. Keys of a frame win over those of the file.
struct Keys {
  const Json& file;
  const Json* frame;
  std::string place;

  const Json* find(const char* key) const {
    if (frame != nullptr && frame->contains(key)) return &(*frame)[key];
    return file.contains(key) ? &file[key] : nullptr;
  }
  double number(const char* key, double fallback) const {
    const Json* value = find(key);
    if (value == nullptr || value->is_null()) return fallback;
    if (!value->is_number() || !std::isfinite(value->get<double>()))
      throw UserError(
          cat(place, ": ", key, " is ", value->dump().substr(0, 40), " where a number was expected."));
    return value->get<double>();
  }
  bool flag(const char* key) const {
    const Json* value = find(key);
    return value != nullptr && value->is_boolean() && value->get<bool>();
  }
};

Vec3d parse_vec3(const Json& value, const std::string& place) {
  Vec3d out;
  if (!value.is_array() || value.size() != 3)
    throw UserError(cat(place, " is ", value.dump().substr(0, 60), " where three numbers were expected."));
  for (int i = 0; i < 3; ++i) {
    const Json& entry = value[static_cast<size_t>(i)];
    if (!entry.is_number() || !std::isfinite(entry.get<double>()))
      throw UserError(
          cat(place, "[", i, "] is ", entry.dump().substr(0, 40), " where a number was expected."));
    out[i] = entry.get<double>();
  }
  return out;
}

Mat4d parse_matrix(const Json& frame, const std::string& place) {
  if (!frame.contains("transform_matrix"))
    throw UserError(cat(place, ": transform_matrix is missing; a 4x4 camera-to-world matrix was expected."));
  const Json& rows = frame["transform_matrix"];
  Mat4d m = Mat4d::Identity();
  if (!rows.is_array() || (rows.size() != 4 && rows.size() != 3))
    throw UserError(cat(place, ".transform_matrix: four rows of four numbers were expected."));
  for (size_t r = 0; r < rows.size(); ++r) {
    if (!rows[r].is_array() || rows[r].size() != 4)
      throw UserError(cat(place, ".transform_matrix[", r, "]: four numbers were expected."));
    for (size_t c = 0; c < 4; ++c) {
      if (!rows[r][c].is_number())
        throw UserError(cat(place, ".transform_matrix[", r, "][", c, "] is ", rows[r][c].dump().substr(0, 40),
                            " where a number was expected."));
      m(static_cast<int>(r), static_cast<int>(c)) = rows[r][c].get<double>();
    }
  }
  return checked_pose(m, place + ".transform_matrix");
}

int parse_side(const Keys& keys, const char* key) {
  const double side = keys.number(key, 0);
  if (side < 0 || side > 32768 || side != std::floor(side))
    throw UserError(
        cat(keys.place, ": ", key, " is ", side, " where a number of pixels up to 32768 was expected."));
  return static_cast<int>(side);
}

void parse_lens(const Keys& keys, Frame& frame) {
  Lens& lens = frame.lens;
  if (const Json* model = keys.find("camera_model"); model != nullptr && model->is_string()) {
    const auto name = model->get<std::string>();
    if (name != "OPENCV" && name != "PINHOLE" && name != "SIMPLE_PINHOLE" && name != "SIMPLE_RADIAL" &&
        name != "RADIAL")
      throw UserError(cat(keys.place, ": camera_model ", name,
                          " is not supported; OPENCV and PINHOLE are. "
                          "Undistort the images first."));
  }
  if (keys.flag("is_fisheye") || keys.number("k4", 0) != 0)
    throw UserError(cat(keys.place,
                        ": fisheye lenses are not supported; OPENCV's k1, k2, k3, p1, p2 are. "
                        "Undistort the images first."));
  lens.width = parse_side(keys, "w");
  lens.height = parse_side(keys, "h");
  if ((lens.width == 0) != (lens.height == 0))
    throw UserError(cat(keys.place, ": only one of w and h is given; give both or neither."));
  lens.fx = static_cast<float>(keys.number("fl_x", 0));
  lens.fy = static_cast<float>(keys.number("fl_y", 0));
  frame.fov_x = keys.number("x_fov", 0) * kRadians;
  frame.fov_y = keys.number("y_fov", 0) * kRadians;
  if (frame.fov_x == 0) frame.fov_x = keys.number("camera_angle_x", 0);
  if (frame.fov_y == 0) frame.fov_y = keys.number("camera_angle_y", 0);
  if (!(lens.fx >= 0) || !(lens.fy >= 0) || frame.fov_x < 0 || frame.fov_x >= 3.1 || frame.fov_y < 0 ||
      frame.fov_y >= 3.1)
    throw UserError(cat(keys.place, ": the focal length or angle is negative or too wide (fl_x ", lens.fx,
                        ", fl_y ", lens.fy, ", camera_angle_x ", frame.fov_x, ", camera_angle_y ",
                        frame.fov_y, ")."));
  if (lens.fx == 0 && lens.fy == 0 && frame.fov_x == 0 && frame.fov_y == 0)
    throw UserError(cat(keys.place, ": the lens is missing; fl_x or camera_angle_x was expected."));
  // As instant-ngp: an angle along y alone does not override a focal length along x.
  if (lens.fx == 0 && frame.fov_x == 0 && lens.fy > 0) lens.fx = lens.fy;
  if (lens.fy == 0 && frame.fov_y == 0 && lens.fx > 0) lens.fy = lens.fx;
  lens.cx = static_cast<float>(keys.number("cx", -1));
  lens.cy = static_cast<float>(keys.number("cy", -1));
  lens.k1 = static_cast<float>(keys.number("k1", 0));
  lens.k2 = static_cast<float>(keys.number("k2", 0));
  lens.k3 = static_cast<float>(keys.number("k3", 0));
  lens.p1 = static_cast<float>(keys.number("p1", 0));
  lens.p2 = static_cast<float>(keys.number("p2", 0));
}

/// NeRF-synthetic leaves the extension away.
std::vector<std::string> candidates(const std::string& folder, const std::string& file_path) {
  const std::string base = (fs::path(folder) / fs::path(file_path)).lexically_normal().string();
  std::vector<std::string> files = {base};
  const std::string extension = fs::path(file_path).extension().string();
  for (const char* known : {".png", ".jpg", ".jpeg", ".PNG", ".JPG", ".JPEG"}) {
    if (extension == known) return {base};
    files.push_back(base + known);
  }
  return files;
}

}  // namespace

Transforms parse_transforms(std::string_view text, const std::string& name, const std::string& folder,
                            const std::string& prefix) {
  const Json json = parse_json(text, name);
  if (!json.is_object()) throw UserError(cat(name, ": a JSON object with the key frames was expected."));
  if (!json.contains("frames") || !json["frames"].is_array())
    throw UserError(cat(name, ": the key frames is missing or no list; this is not a transforms file."));
  const Json& frames = json["frames"];
  if (frames.size() > kMaxFrames) throw UserError(cat(name, ": frames has ", frames.size(), " entries."));
  Transforms out;
  const Keys file{json, nullptr, name};
  if (json.contains("aabb_scale")) out.aabb_scale = checked_aabb_scale(file.number("aabb_scale", 1), name);
  if (json.contains("scale")) {
    out.scale = file.number("scale", kInstantNgpScale);
    if (!(*out.scale > 1e-9 && *out.scale < 1e9))
      throw UserError(cat(name, ": scale is ", *out.scale, "; a positive number was expected."));
  }
  if (json.contains("offset")) out.offset = parse_vec3(json["offset"], name + ": offset");
  if (json.contains("aabb")) {
    const Json& box = json["aabb"];
    if (!box.is_array() || box.size() != 2)
      throw UserError(cat(name, ": aabb: two corners of three numbers were expected."));
    out.aabb = {parse_vec3(box[0], name + ": aabb[0]"), parse_vec3(box[1], name + ": aabb[1]")};
    const Vec3d size = out.aabb->second - out.aabb->first;
    if (!(size.minCoeff() >= 0) || !(size.maxCoeff() > 1e-12) || !(size.maxCoeff() < 1e12))
      throw UserError(cat(name, ": aabb: the box has sides ", size.transpose(),
                          "; its second corner must lie above the first."));
  }
  std::map<std::string, size_t> seen;
  for (size_t i = 0; i < frames.size(); ++i) {
    const std::string place = cat(name, ": frames[", i, "]");
    const Json& entry = frames[i];
    if (!entry.is_object() || !entry.contains("file_path") || !entry["file_path"].is_string())
      throw UserError(cat(place, ": file_path is missing or no text."));
    Frame frame;
    const auto file_path = entry["file_path"].get<std::string>();
    check_inside(file_path, place + ".file_path");
    frame.place = place;
    frame.name = (fs::path(prefix) / file_path).lexically_normal().string();
    frame.files = candidates(folder, file_path);
    const auto [other, is_new] = seen.emplace(frame.name, i);
    if (!is_new)
      throw UserError(cat(place, ": ", file_path, " is listed already as frames[", other->second,
                          "]. Remove one of the two."));
    parse_lens(Keys{json, &entry, place}, frame);
    frame.camera_to_world = parse_matrix(entry, place);
    out.frames.push_back(std::move(frame));
  }
  return out;
}

namespace {

std::string folder_of(const fs::path& file) {
  const std::string folder = file.parent_path().string();
  return folder.empty() ? "." : folder;
}

enum class Split { Train, Val, Test };

Transforms read_one(const std::string& path, const std::string& prefix, Split split) {
  Transforms out = parse_transforms(read_whole_file(path), path, folder_of(path), prefix);
  if (!out.frames.empty() || split == Split::Val) return out;
  throw UserError(
      cat(path, ": frames is empty. ",
          split == Split::Train
              ? "List the images for training there, or name another data set."
              : "Remove the file to test on a part of the training images, or list images there."));
}

void set_scene(Dataset& set, const Transforms& from, bool is_synthetic, const PosedImagesOptions& options) {
  set.aabb_scale = from.aabb_scale.value_or(1);
  if (from.aabb) {
    set.scene_from_world = fit_box(from.aabb->first, from.aabb->second, options.box_margin);
    return;
  }
  double scale = from.scale.value_or(kInstantNgpScale);
  if (is_synthetic && !from.scale && !from.offset && !from.aabb_scale) {
    double sum = 0;
    for (const Frame& frame : from.frames) sum += frame.camera_to_world.block<3, 1>(0, 3).norm();
    const double distance = sum / static_cast<double>(from.frames.size());
    if (!(distance > 1e-9))
      throw UserError(cat(set.folder,
                          ": all cameras stand at the origin, so that the scene's size is unknown. "
                          "Give the object's box as the key aabb."));
    scale = kSyntheticDistance / distance;
  }
  set.scene_from_world.block<3, 3>(0, 0) *= scale;
  if (from.offset) set.scene_from_world.block<3, 1>(0, 3) = *from.offset - Vec3d::Constant(0.5);
}

}  // namespace

Dataset read_transforms_splits(const std::vector<std::string>& train_val_test,
                               const PosedImagesOptions& options) {
  T3D_CHECK(train_val_test.size() == 3, "paths: ", train_val_test.size());
  Dataset set;
  set.kind = "nerf-synthetic";
  std::vector<Frame>* splits[] = {&set.train, &set.val, &set.test};
  constexpr Split kOrder[] = {Split::Train, Split::Val, Split::Test};
  for (size_t i = 0; i < 3; ++i) {
    const fs::path path(train_val_test[i]);
    if (path.empty()) continue;
    const bool is_folder_a_split = path.filename() == "transforms.json";
    Transforms one =
        read_one(path.string(), is_folder_a_split ? path.parent_path().filename().string() : "", kOrder[i]);
    if (i == 0) {
      set.folder = is_folder_a_split ? folder_of(path.parent_path()) : folder_of(path);
      set_scene(set, one, true, options);
    }
    *splits[i] = std::move(one.frames);
  }
  return set;
}

Dataset read_transforms_single(const std::string& path, const PosedImagesOptions& options) {
  Dataset set;
  set.kind = "instant-ngp";
  set.folder = folder_of(path);
  Transforms one = read_one(path, "", Split::Train);
  set_scene(set, one, false, options);
  set.unsplit = std::move(one.frames);
  return set;
}

}  // namespace t3d::data
