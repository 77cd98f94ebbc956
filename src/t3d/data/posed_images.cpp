#include "t3d/data/posed_images.h"

#include <algorithm>
#include <filesystem>

#include "t3d/core/error.h"
#include "t3d/core/sentence.h"
#include "t3d/data/backdrop.h"
#include "t3d/data/dataset.h"
#include "t3d/data/find_images.h"
#include "t3d/data/load_views.h"
#include "t3d/data/read_colmap.h"
#include "t3d/data/scene_fit.h"

namespace t3d::data {
namespace {

namespace fs = std::filesystem;

constexpr int kDefaultHoldout = 8;

std::string if_file(const fs::path& path) {
  return fs::is_regular_file(path) ? path.string() : std::string();
}

Dataset read_dataset(const std::string& path, const PosedImagesOptions& options) {
  std::error_code failure;
  const fs::file_status status = fs::status(path, failure);
  if (!fs::exists(status))
    throw SystemError(cat(path, ": no such file or folder; the folder of a data set was expected."));
  if (!fs::is_directory(status)) {
    if (fs::path(path).filename() == "poses_bounds.npy")
      return read_llff(fs::path(path).has_parent_path() ? fs::path(path).parent_path().string() : ".",
                       options);
    if (fs::path(path).extension() != ".json")
      throw UserError(
          cat(path, ": this is no folder and no .json file; the folder of a data set was expected."));
    if (fs::path(path).filename() != "transforms_train.json") return read_transforms_single(path, options);
  }
  const fs::path folder = fs::is_directory(status) ? fs::path(path) : fs::path(path).parent_path();
  if (const std::string train = if_file(folder / "transforms_train.json"); !train.empty())
    return read_transforms_splits(
        {train, if_file(folder / "transforms_val.json"), if_file(folder / "transforms_test.json")}, options);
  if (const std::string train = if_file(folder / "train" / "transforms.json"); !train.empty())
    return read_transforms_splits(
        {train, if_file(folder / "val" / "transforms.json"), if_file(folder / "test" / "transforms.json")},
        options);
  if (const std::string single = if_file(folder / "transforms.json"); !single.empty())
    return read_transforms_single(single, options);
  if (fs::is_regular_file(folder / "intrinsics.txt") && fs::is_directory(folder / "pose"))
    return read_nsvf(path, options);
  if (const ColmapFolders found = find_colmap_models(path); !found.models.empty())
    return read_colmap(found, options);
  if (fs::is_regular_file(folder / "poses_bounds.npy")) return read_llff(path, options);
  throw UserError(
      cat(path,
          ": no data set found; looked for transforms_train.json, train/transforms.json, transforms.json, "
          "intrinsics.txt with pose/, sparse/0/cameras.bin or .txt (COLMAP), and poses_bounds.npy (LLFF). "
          "Name the "
          "folder that holds one of them."));
}

/// The images of a set without splits: 0, N, 2N, ... of those that exist, in natural order of their names.
void hold_out(PosedImages& out, std::vector<View>&& views, int holdout) {
  for (size_t i = 0; i < views.size(); ++i) {
    const bool is_test = holdout > 0 && i % static_cast<size_t>(holdout) == 0;
    (is_test ? out.test : out.train).push_back(std::move(views[i]));
  }
}

void check_splits(const PosedImages& out, size_t n_listed) {
  if (!out.train.empty()) return;
  if (!out.missing.empty())
    throw UserError(cat(out.folder, ": none of the ", n_listed,
                        " images for training exists; the first missing one is ", out.missing.front(),
                        ". Put the images where the cameras' file names them."));
  // The first image is for testing whatever the holdout: a larger one does not help where it is the only one.
  throw UserError(cat(out.folder, ": no image is left for training, ", out.test.size(), " for testing. ",
                      out.test.size() == 1 ? "Add images, or use holdout 0 to train on this one."
                                           : "Use holdout 2 or more, or 0 for none."));
}

}  // namespace

PosedImages read_posed_images(const std::string& path, const PosedImagesOptions& options) {
  if (options.holdout < -1)
    throw UserError(cat("holdout is ", options.holdout, "; 0 (none) or every Nth image was expected."));
  if (options.max_size < 0)
    throw UserError(cat("max_size is ", options.max_size, "; 0 or a number of pixels was expected."));
  Dataset set = read_dataset(path, options);
  find_images(set);
  PosedImages out;
  out.kind = set.kind;
  out.folder = set.folder;
  out.aabb_scale = static_cast<float>(options.aabb_scale > 0
                                          ? checked_aabb_scale(options.aabb_scale, "the option aabb_scale")
                                          : set.aabb_scale);
  out.scene_from_world = set.scene_from_world.cast<float>();
  ViewLoader loader(set, options);
  const auto load = [&](std::vector<Frame>& frames) {
    std::sort(frames.begin(), frames.end(),
              [](const Frame& a, const Frame& b) { return natural_less(a.name, b.name); });
    return loader.load(frames);
  };
  // A set that brings no test images gives some of its training images, unless holdout says 0.
  const bool is_split = set.unsplit.empty() && !set.test.empty();
  const int holdout = options.holdout >= 0 ? options.holdout : kDefaultHoldout;
  const size_t n_listed = set.train.size() + set.unsplit.size();
  std::vector<View> train = load(set.unsplit.empty() ? set.train : set.unsplit);
  if (is_split) {
    out.train = std::move(train);
  } else {
    hold_out(out, std::move(train), holdout);
  }
  out.val = load(set.val);
  if (!set.test.empty()) out.test = load(set.test);
  out.missing = loader.missing();
  if (!set.test.empty() && out.test.empty())
    throw UserError(cat(out.folder, ": none of the ", set.test.size(),
                        " test images exists; the first missing one is ", out.missing.back(), "."));
  check_splits(out, n_listed);
  loader.finish({&out.train, &out.val, &out.test}, set.notes);
  out.has_alpha = loader.has_alpha();
  check_box(out, set.is_scaled, options.aabb_scale > 0, options.box_margin, set.notes);
  out.backdrop = find_backdrop(out);
  if (out.backdrop) {
    const Vec3f rgb = 255 * *out.backdrop;
    set.notes.push_back(cat("the images are opaque and have one colour around the object: ", rgb.x(), " ",
                            rgb.y(), " ", rgb.z(), " of 255 is taken for what lies behind it"));
  }
  out.notes = std::move(set.notes);
  return out;
}

std::string describe(const PosedImages& images) {
  size_t n_bytes = 0;
  for (const auto* split : {&images.train, &images.val, &images.test})
    for (const View& view : *split) n_bytes += view.rgba.pixels.size();
  const Lens& lens = images.train.front().camera.lens;
  std::string text =
      cat(images.folder, ": ", images.kind, ", ", counted(static_cast<int64_t>(images.train.size()), "image"),
          " for training, ", images.val.size(), " for validation, ", images.test.size(), " for testing, ",
          lens.width, "x", lens.height, images.has_alpha ? " with transparency" : "", ", aabb_scale ",
          images.aabb_scale, ", ", human_bytes(static_cast<double>(n_bytes)));
  if (!images.missing.empty())
    text += cat("; skipped ", counted(static_cast<int64_t>(images.missing.size()), "listed image"),
                images.missing.size() == 1 ? " that is missing (" : " that are missing (",
                images.missing.front(), images.missing.size() > 1 ? ", ...)" : ")");
  return text;
}

}  // namespace t3d::data
