#include "t3d/data/read_transforms.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/core/json_text.h"
#include "t3d/data/scene_fit.h"
#include "t3d/data/transforms_json.h"
#include "t3d/data/transforms_keys.h"

namespace t3d::data {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

constexpr double kInstantNgpScale = 0.33;
constexpr double kSyntheticDistance = 1.5;  // ngp_pl's distance of NeRF-synthetic's cameras
constexpr size_t kMaxFrames = 1000000;
constexpr int64_t kSharpnessNeighbours = 3;  // on either side, as instant-ngp has it

/// False for null, false, 0, "" and empty lists: a key that is switched off.
bool is_set(const Json& value) {
  if (value.is_null()) return false;
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number()) return value.get<double>() != 0;
  return !value.empty() && value != "";
}

/// Names of keys, the first few: "a, b and 3 others".
std::string list_names(const std::set<std::string>& names) {
  constexpr size_t kNamed = 6;
  std::string text;
  size_t i = 0;
  for (const std::string& name : names) {
    if (i == kNamed) return text + cat(" and ", names.size() - kNamed, " others");
    text += (i++ == 0 ? "" : ", ") + name.substr(0, 40);
  }
  return text;
}

/// Refuses keys that change what the file means and are not supported, and collects what is to be said about
/// others.
class KeyCheck {
 public:
  void check(const Json& object, const std::string& place) {
    for (const auto& [name, value] : object.items()) {
      const TransformsKey* key = find_transforms_key(name);
      if (key == nullptr) {
        unknown_.insert(name);
      } else if (key->use == KeyUse::Refused && name != "transform_matrix_end" && is_set(value)) {
        throw UserError(cat(place, ": ", name, " is not supported (", std::string(key->what).substr(9),
                            "). Convert the data set, or remove the key where it does not hold."));
      } else if (name == "time" ? is_another_time(value) : key->use == KeyUse::Noted && is_set(value)) {
        noted_.insert(name);
      }
    }
  }
  void add_notes(const std::string& name, std::vector<std::string>& notes) const {
    for (const std::string& key : noted_)
      notes.push_back(cat(name, ": ", key, " is ignored: ", find_transforms_key(key)->what));
    if (!unknown_.empty())
      notes.push_back(cat(name, ": ", unknown_.size() == 1 ? "the key " : "the keys ", list_names(unknown_),
                          unknown_.size() == 1 ? " is" : " are", " not known and ignored"));
  }

 private:
  /// Frames of one time show a scene that stands still.
  bool is_another_time(const Json& value) {
    const bool differs = !time_.is_null() && time_ != value;
    time_ = value;
    return differs;
  }

  std::set<std::string> unknown_, noted_;
  Json time_;
};

Mat4d parse_matrix(const Json& rows, const std::string& place) {
  Mat4d m = Mat4d::Identity();
  if (!rows.is_array() || (rows.size() != 4 && rows.size() != 3))
    throw UserError(cat(place, ": four rows of four numbers were expected."));
  for (size_t r = 0; r < rows.size(); ++r) {
    if (!rows[r].is_array() || rows[r].size() != 4)
      throw UserError(cat(place, "[", r, "]: four numbers were expected."));
    for (size_t c = 0; c < 4; ++c) {
      if (!rows[r][c].is_number())
        throw UserError(cat(place, "[", r, "][", c, "] is ", rows[r][c].dump().substr(0, 40),
                            " where a number was expected."));
      m(static_cast<int>(r), static_cast<int>(c)) = rows[r][c].get<double>();
    }
  }
  return checked_pose(m, place);
}

Mat4d parse_pose(const Json& frame, const std::string& place) {
  const bool has_start = frame.contains("transform_matrix_start");
  const char* key =
      has_start && !frame.contains("transform_matrix") ? "transform_matrix_start" : "transform_matrix";
  if (!frame.contains(key))
    throw UserError(cat(place, ": transform_matrix is missing; a 4x4 camera-to-world matrix was expected."));
  const Mat4d pose = parse_matrix(frame[key], cat(place, ".", key));
  for (const char* other : {"transform_matrix_start", "transform_matrix_end"}) {
    if (!frame.contains(other) || frame[other].is_null()) continue;
    if (!parse_matrix(frame[other], cat(place, ".", other)).isApprox(pose, 1e-6))
      throw UserError(
          cat(place, ": ", other, " differs from ", key,
              ": a camera that moves during the exposure is not supported. Give one matrix a frame."));
  }
  return pose;
}

/// Mitsuba's cameras have the axes left, up, forward.
Mat4d from_mitsuba_axes(Mat4d camera_to_world) {
  camera_to_world.col(0) *= -1;
  camera_to_world.col(2) *= -1;
  return camera_to_world;
}

std::vector<std::string> parse_names(const Json& value, const std::string& place) {
  if (!value.is_array()) throw UserError(cat(place, ": a list of file names was expected."));
  std::vector<std::string> names;
  for (const Json& name : value) {
    if (!name.is_string()) throw UserError(cat(place, ": a list of file names was expected."));
    names.push_back(name.get<std::string>());
  }
  return names;
}

/// What holds for the whole file.
void parse_scene(const Json& json, const TransformsValues& file, Transforms& out) {
  const std::string& name = file.place;
  const auto has = [&json](const char* key) { return json.contains(key) && !json[key].is_null(); };
  if (has("aabb_scale")) out.aabb_scale = checked_aabb_scale(file.number("aabb_scale", 1), name);
  if (has("scale")) {
    out.scale = file.number("scale", kInstantNgpScale);
    if (!(*out.scale > 1e-9 && *out.scale < 1e9))
      throw UserError(cat(name, ": scale is ", *out.scale, "; a positive number was expected."));
  }
  if (has("offset"))
    out.offset = json["offset"].is_number() ? Vec3d(Vec3d::Constant(file.number("offset", 0.5)))
                                            : parse_vec3(json["offset"], name + ": offset");
  if (has("aabb")) {
    const Json& box = json["aabb"];
    if (!box.is_array() || box.size() != 2)
      throw UserError(cat(name, ": aabb: two corners of three numbers were expected."));
    out.aabb = {parse_vec3(box[0], name + ": aabb[0]"), parse_vec3(box[1], name + ": aabb[1]")};
    const Vec3d size = out.aabb->second - out.aabb->first;
    if (!(size.minCoeff() >= 0) || !(size.maxCoeff() > 1e-12) || !(size.maxCoeff() < 1e12))
      throw UserError(cat(name, ": aabb: the box has sides ", size.transpose(),
                          "; its second corner must lie above the first."));
  }
  out.from_mitsuba = file.flag("from_mitsuba") || has("normal_mts_args");
  out.white_transparent = file.flag("white_transparent");
  out.black_transparent = file.flag("black_transparent");
  out.refuse_rays = file.flag("enable_ray_loading", true);
  constexpr const char* kSplits[3] = {"train_filenames", "val_filenames", "test_filenames"};
  for (size_t i = 0; i < 3; ++i) {
    if (!has(kSplits[i])) continue;
    out.split_names[i] = parse_names(json[kSplits[i]], cat(name, ": ", kSplits[i]));
    out.has_split_names = out.has_split_names || !out.split_names[i].empty();
  }
}

/// Leaves out the images that n_frames and sharpness_discard_threshold leave out in instant-ngp.
void drop_frames(const Json& frames, const TransformsValues& file, Transforms& out) {
  const double n_kept = file.number("n_frames", -1),
               threshold = file.number("sharpness_discard_threshold", 0);
  if (n_kept < 0 && threshold <= 0) return;
  std::vector<std::pair<Frame, double>> sorted;
  for (size_t i = 0; i < out.frames.size(); ++i) {
    const TransformsValues values{frames[i], nullptr, out.frames[i].place};
    sorted.emplace_back(out.frames[i], threshold > 0 ? values.number("sharpness", 1) : 1);
  }
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return natural_less(a.first.name, b.first.name); });
  if (n_kept >= 0 && n_kept < static_cast<double>(sorted.size())) {
    out.notes.push_back(cat(file.place, ": n_frames leaves ", n_kept, " of ", sorted.size(), " images"));
    sorted.resize(static_cast<size_t>(n_kept));
  }
  out.frames.clear();
  const auto n = static_cast<int64_t>(sorted.size());
  for (int64_t i = 0; i < n; ++i) {
    const int64_t begin = std::max<int64_t>(0, i - kSharpnessNeighbours);
    const int64_t end = std::max(begin + 1, std::min(i + kSharpnessNeighbours, n - 1));
    double sum = 0;
    for (int64_t j = begin; j < end; ++j) sum += sorted[static_cast<size_t>(j)].second;
    const auto& [frame, sharpness] = sorted[static_cast<size_t>(i)];
    if (sharpness > threshold * sum / static_cast<double>(end - begin) || threshold <= 0)
      out.frames.push_back(frame);
  }
  const size_t n_blurred = sorted.size() - out.frames.size();
  if (n_blurred > 0)
    out.notes.push_back(cat(file.place, ": sharpness_discard_threshold ", threshold, " leaves out ",
                            n_blurred, " of ", sorted.size(), " images"));
}

}  // namespace

const Json* TransformsValues::find(const char* key) const {
  if (frame != nullptr && frame->contains(key) && !(*frame)[key].is_null()) return &(*frame)[key];
  return file.contains(key) && !file[key].is_null() ? &file[key] : nullptr;
}

double TransformsValues::number(const char* key, double fallback) const {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_number() || !std::isfinite(value->get<double>()))
    throw UserError(
        cat(place, ": ", key, " is ", value->dump().substr(0, 40), " where a number was expected."));
  return value->get<double>();
}

bool TransformsValues::flag(const char* key, bool fallback) const {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (value->is_boolean()) return value->get<bool>();
  if (*value == 0 || *value == 1) return *value == 1;
  throw UserError(
      cat(place, ": ", key, " is ", value->dump().substr(0, 40), " where true or false was expected."));
}

std::string TransformsValues::text(const char* key) const {
  const Json* value = find(key);
  if (value == nullptr) return {};
  if (!value->is_string())
    throw UserError(
        cat(place, ": ", key, " is ", value->dump().substr(0, 40), " where a text was expected."));
  return value->get<std::string>();
}

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

Transforms parse_transforms(std::string_view text, const std::string& name, const std::string& folder,
                            const std::string& prefix) {
  const Json json = parse_json(text, name);
  if (!json.is_object()) throw UserError(cat(name, ": a JSON object with the key frames was expected."));
  if (!json.contains("frames") || !json["frames"].is_array())
    throw UserError(cat(name, ": the key frames is missing or no list; this is not a transforms file."));
  const Json& frames = json["frames"];
  if (frames.size() > kMaxFrames) throw UserError(cat(name, ": frames has ", frames.size(), " entries."));
  Transforms out;
  KeyCheck keys;
  keys.check(json, name);
  const TransformsValues file{json, nullptr, name};
  parse_scene(json, file, out);
  std::map<std::string, size_t> seen;
  for (size_t i = 0; i < frames.size(); ++i) {
    const std::string place = cat(name, ": frames[", i, "]");
    const Json& entry = frames[i];
    if (!entry.is_object() || !entry.contains("file_path") || !entry["file_path"].is_string())
      throw UserError(cat(place, ": file_path is missing or no text."));
    keys.check(entry, place);
    Frame frame;
    frame.written = entry["file_path"].get<std::string>();
    check_file_name(frame.written, place + ".file_path");
    frame.place = place;
    frame.folder = folder;
    std::string shown = frame.written;
    std::replace(shown.begin(), shown.end(), '\\', '/');
    frame.name = (fs::path(prefix) / shown).lexically_normal().string();
    const auto [other, is_new] = seen.emplace(frame.name, i);
    if (!is_new)
      throw UserError(cat(place, ": ", frame.written, " is listed already as frames[", other->second,
                          "]. Remove one of the two."));
    const TransformsValues values{json, &entry, place};
    parse_transforms_lens(values, frame);
    frame.mask = values.text("mask_path");
    frame.camera_to_world = parse_pose(entry, place);
    if (out.from_mitsuba) frame.camera_to_world = from_mitsuba_axes(frame.camera_to_world);
    out.frames.push_back(std::move(frame));
  }
  keys.add_notes(name, out.notes);
  drop_frames(frames, file, out);
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

/// Coordinates of a map, say: what the cameras look at goes to the origin while numbers still have all
/// digits.
void centre_far_scene(Dataset& set, const std::vector<Frame>& frames) {
  constexpr double kFar = 100;
  std::vector<Mat4d> poses;
  Vec3d mean = Vec3d::Zero();
  for (const Frame& frame : frames) {
    poses.push_back(frame.camera_to_world);
    mean += frame.camera_to_world.block<3, 1>(0, 3) / static_cast<double>(frames.size());
  }
  double spread = 0;
  for (const Mat4d& pose : poses) spread = std::max(spread, (pose.block<3, 1>(0, 3) - mean).norm());
  if (!(mean.norm() > kFar * spread) || !(spread > 1e-9 * mean.norm())) return;
  const CameraFocus focus = camera_focus(poses);
  const double scale = set.scene_from_world.block<3, 1>(0, 0).norm();
  set.scene_from_world.block<3, 1>(0, 3) = -scale * (focus.is_certain ? focus.centre : mean);
}

void set_scene(Dataset& set, const Transforms& from, bool is_synthetic, const PosedImagesOptions& options) {
  set.aabb_scale = from.aabb_scale.value_or(1);
  set.is_scaled = from.aabb || from.scale || from.offset;
  if (from.aabb) {
    set.scene_from_world = fit_box(from.aabb->first, from.aabb->second, options.box_margin);
  } else {
    double scale = from.scale.value_or(kInstantNgpScale);
    if (is_synthetic && !set.is_scaled && !from.aabb_scale) {
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
  if (!set.is_scaled) centre_far_scene(set, from.frames);
  // Mitsuba's y is up: x, y, z become z, x, y.
  if (from.from_mitsuba)
    set.scene_from_world =
        Mat4d((Mat4d() << 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1).finished()) * set.scene_from_world;
}

void set_pixels(Dataset& set, const Transforms& from) {
  set.white_transparent = from.white_transparent;
  set.black_transparent = from.black_transparent;
  set.refuse_rays = from.refuse_rays;
}

void add_notes(Dataset& set, const Transforms& from) {
  set.notes.insert(set.notes.end(), from.notes.begin(), from.notes.end());
}

/// nerfstudio's lists of names. A name in none of them is left out, as there.
void split_by_names(Dataset& set, Transforms& from) {
  const auto same_form = [](std::string name) {
    std::replace(name.begin(), name.end(), '\\', '/');
    return fs::path(name).lexically_normal().string();
  };
  std::map<std::string, size_t> split_of;
  for (size_t i = 0; i < 3; ++i)
    for (const std::string& name : from.split_names[i]) split_of.emplace(same_form(name), i);
  std::vector<Frame>* splits[] = {&set.train, &set.val, &set.test};
  size_t n_left_out = 0;
  for (Frame& frame : from.frames) {
    const auto found = split_of.find(frame.name);
    if (found == split_of.end())
      ++n_left_out;
    else
      splits[found->second]->push_back(std::move(frame));
  }
  if (set.train.empty())
    throw UserError(cat(set.folder, ": train_filenames names none of the ", from.frames.size(),
                        " images. Correct the list, or remove it."));
  if (set.test.empty()) set.test.swap(set.val);
  set.notes.push_back(cat("train_filenames, val_filenames and test_filenames give ", set.train.size(), ", ",
                          set.val.size(), " and ", set.test.size(), " images",
                          n_left_out > 0 ? cat("; ", n_left_out, " in none of them are left out") : ""));
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
      set_pixels(set, one);
      add_notes(set, one);
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
  set_pixels(set, one);
  add_notes(set, one);
  if (one.has_split_names)
    split_by_names(set, one);
  else
    set.unsplit = std::move(one.frames);
  return set;
}

}  // namespace t3d::data
