#include "t3d/train/turntable.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

#include "t3d/core/log.h"
#include "t3d/core/progress.h"
#include "t3d/io/video.h"

namespace t3d::train {
namespace {

constexpr double kFps = 24;
constexpr float kElevationDeg = 20, kTwoPi = 6.2831853f;

/// The lens without distortion, reduced to at most max_side, both sides even.
Lens film_lens(const Lens& lens, int max_side) {
  const float scale =
      std::min(1.0f, static_cast<float>(max_side) / static_cast<float>(std::max(lens.width, lens.height)));
  const auto even = [](float side) { return std::max(2, 2 * static_cast<int>(side / 2)); };
  Lens film;
  film.width = even(static_cast<float>(lens.width) * scale);
  film.height = even(static_cast<float>(lens.height) * scale);
  const float x = static_cast<float>(film.width) / static_cast<float>(lens.width);
  const float y = static_cast<float>(film.height) / static_cast<float>(lens.height);
  film.fx = lens.fx * x, film.cx = 0.5f * static_cast<float>(film.width);
  film.fy = lens.fy * y, film.cy = 0.5f * static_cast<float>(film.height);
  return film;
}

/// The point with the least sum of squared distances to the cameras' axes, in front of them.
Vec3f common_focus(const std::vector<data::View>& views, const Vec3f& centre) {
  Mat3f sum = 1e-4f * Mat3f::Identity();
  Vec3f right = 1e-4f * centre;
  for (const auto& view : views) {
    const Vec3f axis = -view.camera.camera_to_world.block<3, 1>(0, 2).normalized();
    const Mat3f across = Mat3f::Identity() - axis * axis.transpose();
    sum += across;
    right += across * view.camera.position();
  }
  return sum.inverse() * right;
}

}  // namespace

std::vector<Camera> turntable_cameras(const data::PosedImages& images, int n_frames, int max_side) {
  const auto& views = images.train;
  const auto n = static_cast<float>(views.size());
  Vec3f centre = Vec3f::Zero(), up = Vec3f::Zero();
  float distance = 0;
  for (const auto& view : views) {
    centre += view.camera.position() / n;
    up += view.camera.camera_to_world.block<3, 1>(0, 1) / n;
    distance += view.camera.position().norm() / n;
  }
  Mat3f spread = Mat3f::Zero();
  for (const auto& view : views) {
    const Vec3f from = view.camera.position() - centre;
    spread += from * from.transpose() / n;
  }
  const Eigen::SelfAdjointEigenSolver<Mat3f> axes(spread);  // eigenvalues rise
  const auto half_axis = [&](int i) {
    return Vec3f(axes.eigenvectors().col(i) * std::sqrt(std::max(0.0f, axes.eigenvalues()[i])));
  };
  const Vec3f focus = common_focus(views, centre);
  std::vector<Camera> cameras;
  for (int i = 0; i < n_frames; ++i) {
    const float share = static_cast<float>(i) / static_cast<float>(n_frames), angle = kTwoPi * share;
    Camera camera;
    camera.lens = film_lens(views[0].camera.lens, max_side);
    camera.camera_to_world =
        images.has_alpha ? look_at(spherical_position(360.0f * share, kElevationDeg, distance), Vec3f::Zero())
                         : look_at(centre + std::cos(angle) * half_axis(2) + std::sin(angle) * half_axis(1),
                                   focus, up.normalized());
    cameras.push_back(camera);
  }
  return cameras;
}

void write_turntable(const std::string& folder, const data::PosedImages& images, const Vec3f& background,
                     NgpStepper& stepper, int n_frames, int max_side, const RunControl& control) {
  if (!io::has_video()) {
    log::warning("this build has no FFmpeg, so there is no turntable; see t3d doctor.");
    return;
  }
  io::VideoOptions options;
  options.fps = kFps;
  io::VideoWriter film(folder + "/turntable.mp4", options), picture(folder + "/turntable.gif", options);
  const auto cameras = turntable_cameras(images, n_frames, max_side);
  Progress progress("film", static_cast<int64_t>(cameras.size()), control.shows_progress);
  int64_t done = 0;
  for (const Camera& camera : cameras) {
    control.stop.throw_if_requested(cat("the training is saved in ", folder, "/ckpts, the film is not made"));
    const io::Image8 frame = io::to_8bit(stepper.render(camera, background).rgb);
    film.add(frame);
    picture.add(frame);
    progress.update(++done);
  }
  film.finish();
  picture.finish();
  progress.finish();
}

}  // namespace t3d::train
