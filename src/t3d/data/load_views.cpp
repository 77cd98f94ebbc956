#include "t3d/data/load_views.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <filesystem>
#include <functional>
#include <thread>

#include "t3d/core/clock.h"
#include "t3d/core/error.h"
#include "t3d/data/fit_lens.h"
#include "t3d/data/view_mask.h"
#include "t3d/io/exif.h"
#include "t3d/io/image_resize.h"

namespace t3d::data {
namespace {

namespace fs = std::filesystem;

constexpr double kMostSilhouettes = 0.9, kMostOfBorder = 0.5;

/// Runs job(0..n-1) on all cores; afterwards throws the exception of the smallest index, if any.
void for_each_parallel(size_t n, const std::function<void(size_t)>& job) {
  const size_t n_threads = std::min<size_t>(n, std::max(1u, std::thread::hardware_concurrency()));
  std::vector<std::exception_ptr> failures(n);
  std::atomic<size_t> next{0};
  std::atomic<bool> is_failed{false};
  const auto work = [&] {
    for (size_t i = next++; i < n && !is_failed; i = next++) {
      try {
        job(i);
      } catch (...) {
        failures[i] = std::current_exception();
        is_failed = true;
      }
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < n_threads; ++i) threads.emplace_back(work);
  work();
  for (auto& thread : threads) thread.join();
  for (const auto& failure : failures)
    if (failure) std::rethrow_exception(failure);
}

/// The camera in scene space: rotation by the similarity's rotation, position by all of it.
Mat4f to_scene(const Mat4d& camera_to_world, const Mat4d& scene_from_world) {
  Mat4d m = scene_from_world * camera_to_world;
  m.block<3, 3>(0, 0) /= scene_from_world.block<3, 1>(0, 0).norm();
  return m.cast<float>();
}

bool has_transparency(const io::Image8& rgba) {
  for (size_t i = 3; i < rgba.pixels.size(); i += 4)
    if (rgba.pixels[i] != 255) return true;
  return false;
}

/// instant-ngp's white_transparent and black_transparent.
void make_transparent(io::Image8& rgba, uint8_t level) {
  for (size_t i = 0; i < rgba.pixels.size(); i += 4) {
    uint8_t* p = rgba.pixels.data() + i;
    if (p[0] == level && p[1] == level && p[2] == level) p[3] = 0;
  }
}

std::string beside(const std::string& file, const char* prefix, const char* ending) {
  const fs::path path(file);
  const fs::path other = path.parent_path() / (prefix + path.stem().string() + ending);
  return fs::is_regular_file(other) ? other.string() : std::string();
}

}  // namespace

struct ViewLoader::Source {
  const Frame* frame = nullptr;
  std::string dynamic_mask;  // instant-ngp's, beside the image; empty: none
  io::ImageInfo info;
  FittedLens fit;
  bool is_silhouette = false, is_hidden_whole = false;
  double transparent_border = 0;
};

std::vector<ViewLoader::Source> ViewLoader::look(const std::vector<Frame>& frames) {
  std::vector<Source> sources;
  for (const Frame& frame : frames) {
    if (frame.file.empty()) {
      missing_.push_back(frame.name);
      continue;
    }
    sources.emplace_back();
    sources.back().frame = &frame;
  }
  for_each_parallel(sources.size(), [&](size_t i) {
    Source& source = sources[i];
    const std::string& file = source.frame->file;
    source.info = io::read_image_info(file);
    source.dynamic_mask = beside(file, "dynamic_mask_", ".png");
    if (const std::string rays = set_.refuse_rays ? beside(file, "rays_", ".dat") : ""; !rays.empty())
      throw UserError(cat(rays,
                          ": images with rays of their own are not supported. Remove the file, or set "
                          "enable_ray_loading to false, to use the cameras."));
    source.fit = fit_lens(*source.frame, source.info.width, source.info.height, source.info.orientation);
  });
  return sources;
}

View ViewLoader::plan(const Source& source) {
  View view;
  view.name = source.frame->name;
  view.camera.lens = source.fit.lens;
  view.camera.camera_to_world = to_scene(source.frame->camera_to_world, set_.scene_from_world);
  Lens& lens = view.camera.lens;
  const int longer = std::max(lens.width, lens.height);
  if (options_.max_size > 0 && longer > options_.max_size) {
    const auto reduced = [&](int side) {
      return std::max(1,
                      static_cast<int>(std::lround(static_cast<double>(side) * options_.max_size / longer)));
    };
    scale_lens(lens, reduced(lens.width), reduced(lens.height));
  }
  if (source.fit.is_scaled && n_scaled_++ == 0)
    scaled_example_ = cat(source.frame->lens.width, "x", source.frame->lens.height, " and ",
                          source.frame->name, " is ", source.fit.lens.width, "x", source.fit.lens.height);
  n_turned_ += source.fit.is_turned ? 1 : 0;
  n_not_turned_ += !source.fit.is_turned && source.info.orientation != 1 ? 1 : 0;
  n_dynamic_ += source.dynamic_mask.empty() ? 0 : 1;
  n_bytes_ += static_cast<size_t>(lens.width) * static_cast<size_t>(lens.height) * 4;
  return view;
}

io::Image8 ViewLoader::mask_of(const Source& source, const io::Image8& rgba, const Lens& lens) const {
  const Frame& frame = *source.frame;
  io::Image8 mask;
  if (!frame.mask_file.empty()) mask = read_mask(frame.mask_file, rgba.width, rgba.height, true);
  if (!source.dynamic_mask.empty()) {
    const io::Image8 moving = read_mask(source.dynamic_mask, rgba.width, rgba.height, false);
    if (mask.empty()) mask = moving;
    for (size_t i = 0; i < mask.pixels.size(); ++i)
      mask.pixels[i] = std::min(mask.pixels[i], moving.pixels[i]);
  }
  if (frame.crop_radius <= 0 && !lens.is_fisheye) return mask;
  const bool is_new = mask.empty();
  if (is_new) mask = io::Image8(rgba.width, rgba.height, 1), mask.pixels.assign(mask.pixels.size(), 255);
  if (frame.crop_radius > 0) {
    const int listed = frame.lens.width > 0 ? frame.lens.width : rgba.width;
    hide_outside(mask, frame.crop_radius * rgba.width / listed);
  }
  hide_beyond_lens(mask, lens);
  if (is_new && count_pixels(mask) == mask.pixels.size()) mask = {};
  return mask;
}

void ViewLoader::decode(Source& source, View& view) const {
  io::Image8 image = io::read_image(source.frame->file, 4);
  if (source.fit.is_turned) image = io::upright(image, source.info.orientation);
  if (set_.white_transparent) make_transparent(image, 255);
  if (set_.black_transparent) make_transparent(image, 0);
  const int width = view.camera.lens.width, height = view.camera.lens.height;
  const io::Image8 mask = mask_of(source, image, source.fit.lens);
  if (!mask.empty()) {
    const bool is_only_listed =
        source.dynamic_mask.empty() && source.frame->crop_radius <= 0 && !source.fit.lens.is_fisheye;
    source.is_silhouette = is_only_listed && is_silhouette(mask, image);
    source.transparent_border = transparent_border(image);
    view.mask = reduce_mask(mask, width, height);
    source.is_hidden_whole = count_pixels(view.mask) == 0;
  }
  view.rgba = io::resize_area(image, width, height);
}

/// Decodes the first image, and refuses a time budget that all of them would not keep.
void ViewLoader::check_time(std::vector<Source>& sources, std::vector<View>& views) const {
  if (options_.time_budget <= 0 || sources.empty()) return;
  const double start = now_s();
  decode(sources[0], views[0]);
  const double seconds = (now_s() - start) * static_cast<double>(sources.size()) /
                         std::max(1u, std::thread::hardware_concurrency());
  if (seconds <= options_.decode_share * options_.time_budget) return;
  throw UserError(cat(set_.folder, ": decoding ", sources.size(), " images takes about ", std::ceil(seconds),
                      " s, too long for the time budget of ", options_.time_budget, " s. Give it at least ",
                      std::ceil(seconds / options_.decode_share), " s, or use fewer or smaller images."));
}

std::vector<View> ViewLoader::load(const std::vector<Frame>& frames) {
  std::vector<Source> sources = look(frames);
  std::vector<View> views;
  for (const Source& source : sources) {
    const io::ImageInfo& first = sources[0].info;
    if (source.frame->lens.width == 0 &&
        (source.info.width != first.width || source.info.height != first.height))
      throw UserError(
          cat(source.frame->file, ": the image is ", source.info.width, "x", source.info.height,
              " pixels and ", sources[0].frame->name, " is ", first.width, "x", first.height,
              ". Images of one data set have one size, unless each frame gives its own w, h and lens."));
    views.push_back(plan(source));
  }
  if (!options_.load_images) return views;
  if (options_.max_bytes > 0 && n_bytes_ > options_.max_bytes)
    throw UserError(cat("the decoded images need ", human_bytes(static_cast<double>(n_bytes_)), " and ",
                        human_bytes(static_cast<double>(options_.max_bytes)),
                        " are allowed. Allow more memory, or reduce the images (max_size)."));
  check_time(sources, views);
  for_each_parallel(views.size(), [&](size_t i) {
    if (views[i].rgba.empty()) decode(sources[i], views[i]);
  });
  std::vector<View> kept;
  for (size_t i = 0; i < views.size(); ++i) {
    const Source& source = sources[i];
    has_alpha_ = has_alpha_ || has_transparency(views[i].rgba);
    if (!views[i].mask.empty()) {
      ++n_with_mask_;
      n_silhouettes_ += source.is_silhouette ? 1 : 0;
      transparent_border_ += source.transparent_border;
    }
    if (source.is_hidden_whole)
      ++n_hidden_whole_;
    else
      kept.push_back(std::move(views[i]));
  }
  if (kept.empty() && !sources.empty())
    throw UserError(
        cat(set_.folder, ": the masks leave no pixel of ", sources[0].frame->name,
            " and of all other images of its split. Pixels that are black in a mask do not count; "
            "invert the masks where they show what counts in black."));
  return kept;
}

void ViewLoader::finish(const std::vector<std::vector<View>*>& splits, std::vector<std::string>& notes) {
  if (n_scaled_ > 0)
    notes.push_back(cat("lenses scaled to the size of their images: the first is for ", scaled_example_, " (",
                        n_scaled_, n_scaled_ == 1 ? " image)" : " images)"));
  if (n_turned_ > 0)
    notes.push_back(cat(n_turned_, n_turned_ == 1 ? " image" : " images",
                        " turned as EXIF says, because only so the size fits the lens"));
  if (n_not_turned_ > 0)
    notes.push_back(cat(n_not_turned_, n_not_turned_ == 1 ? " image stays" : " images stay",
                        " as stored though EXIF would turn them: their cameras fit them so"));
  if (n_hidden_whole_ > 0)
    notes.push_back(cat(n_hidden_whole_, n_hidden_whole_ == 1 ? " image is" : " images are",
                        " masked whole and left out"));
  if (n_with_mask_ == 0) return;
  const auto n = static_cast<double>(n_with_mask_);
  if (static_cast<double>(n_silhouettes_) >= kMostSilhouettes * n &&
      transparent_border_ > kMostOfBorder * n) {
    for (auto* views : splits)
      for (View& view : *views) view.mask = {};
    notes.push_back(cat("the masks of ", n_with_mask_,
                        " images are the outlines of an object on transparent ground "
                        "and hide nothing: what is transparent counts as empty"));
    return;
  }
  notes.push_back(cat("masks hide pixels of ", n_with_mask_, n_with_mask_ == 1 ? " image" : " images",
                      n_dynamic_ > 0 ? cat(" (", n_dynamic_, " of them by dynamic_mask_*.png)") : "",
                      ": they are neither trained on nor scored"));
}

}  // namespace t3d::data
