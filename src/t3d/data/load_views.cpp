#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <filesystem>
#include <functional>
#include <thread>

#include "t3d/core/error.h"
#include "t3d/data/dataset.h"
#include "t3d/io/image_resize.h"

namespace t3d::data {
namespace {

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

std::string first_existing(const std::vector<std::string>& files) {
  for (const auto& file : files)
    if (std::filesystem::is_regular_file(file)) return file;
  return {};
}

/// Fills in what the file left to the image: size, focal length from the angle, principal point at the
/// centre.
Lens complete_lens(const Frame& frame, int width, int height) {
  Lens lens = frame.lens;
  if (lens.width != 0 && (lens.width != width || lens.height != height))
    throw UserError(cat(frame.place, ": the image ", frame.name, " is ", width, "x", height,
                        " pixels and its lens is for ", lens.width, "x", lens.height,
                        ". Use images of that size, or correct w, h and the lens."));
  lens.width = width;
  lens.height = height;
  const auto focal = [](double side, double angle) {
    return static_cast<float>(0.5 * side / std::tan(0.5 * angle));
  };
  if (lens.fx == 0 && frame.fov_x > 0) lens.fx = focal(width, frame.fov_x);
  if (lens.fy == 0 && frame.fov_y > 0 && frame.fov_x == 0) lens.fy = focal(height, frame.fov_y);
  if (lens.fx == 0) lens.fx = lens.fy;
  if (lens.fy == 0) lens.fy = lens.fx;
  if (lens.cx < 0) lens.cx = 0.5f * static_cast<float>(width);
  if (lens.cy < 0) lens.cy = 0.5f * static_cast<float>(height);
  return lens;
}

void scale_lens(Lens& lens, int width, int height) {
  const float x = static_cast<float>(width) / static_cast<float>(lens.width);
  const float y = static_cast<float>(height) / static_cast<float>(lens.height);
  lens.fx *= x, lens.cx *= x, lens.width = width;
  lens.fy *= y, lens.cy *= y, lens.height = height;
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

}  // namespace

std::vector<View> load_views(const std::vector<Frame>& frames, const Mat4d& scene_from_world,
                             const PosedImagesOptions& options, std::vector<std::string>& missing,
                             bool& has_alpha, size_t& n_bytes) {
  std::vector<const Frame*> present;
  std::vector<std::string> files;
  for (const Frame& frame : frames) {
    const std::string file = first_existing(frame.files);
    if (file.empty()) {
      missing.push_back(frame.name);
    } else {
      present.push_back(&frame);
      files.push_back(file);
    }
  }
  std::vector<View> views(present.size());
  std::vector<io::ImageInfo> sizes(present.size());
  for_each_parallel(present.size(), [&](size_t i) { sizes[i] = io::read_image_info(files[i]); });
  for (size_t i = 0; i < present.size(); ++i) {
    const Frame& frame = *present[i];
    if (frame.lens.width == 0 && (sizes[i].width != sizes[0].width || sizes[i].height != sizes[0].height))
      throw UserError(
          cat(files[i], ": the image is ", sizes[i].width, "x", sizes[i].height, " pixels and ",
              present[0]->name, " is ", sizes[0].width, "x", sizes[0].height,
              ". Images of one data set have one size, unless each frame gives its own w, h and lens."));
    View& view = views[i];
    view.name = frame.name;
    view.camera.lens = complete_lens(frame, sizes[i].width, sizes[i].height);
    view.camera.camera_to_world = to_scene(frame.camera_to_world, scene_from_world);
    Lens& lens = view.camera.lens;
    const int longer = std::max(lens.width, lens.height);
    if (options.max_size > 0 && longer > options.max_size) {
      const auto reduced = [&](int side) {
        return std::max(1,
                        static_cast<int>(std::lround(static_cast<double>(side) * options.max_size / longer)));
      };
      scale_lens(lens, reduced(lens.width), reduced(lens.height));
    }
    n_bytes += static_cast<size_t>(lens.width) * static_cast<size_t>(lens.height) * 4;
  }
  if (!options.load_images) return views;
  if (options.max_bytes > 0 && n_bytes > options.max_bytes)
    throw UserError(cat("the decoded images need ", human_bytes(static_cast<double>(n_bytes)), " and ",
                        human_bytes(static_cast<double>(options.max_bytes)),
                        " are allowed. Allow more memory, or reduce the images (max_size)."));
  std::vector<char> is_transparent(views.size(), 0);
  for_each_parallel(views.size(), [&](size_t i) {
    io::Image8 image = io::read_image(files[i], 4);
    views[i].rgba = io::resize_area(image, views[i].camera.lens.width, views[i].camera.lens.height);
    is_transparent[i] = has_transparency(views[i].rgba) ? 1 : 0;
  });
  has_alpha = has_alpha || std::find(is_transparent.begin(), is_transparent.end(), 1) != is_transparent.end();
  return views;
}

}  // namespace t3d::data
