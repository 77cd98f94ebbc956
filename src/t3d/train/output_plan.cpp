#include "t3d/train/output_plan.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <thread>

#include "t3d/core/clock.h"
#include "t3d/export/decimate.h"
#include "t3d/io/image.h"
#include "t3d/train/turntable.h"

namespace t3d::train {
namespace {

constexpr int kProbeSide = 96;  // longest side of what is rendered to learn the rate
constexpr int64_t kProbePoints = 1 << 16;
constexpr int kLeastFrames = 12, kLeastFilmSide = 128;  // below them a film neither turns nor shows
constexpr int kLeastMesh = 64;
constexpr double kFacesPerSquare = 22;  // of a photographed scene, 192 samples a side: 800,000 faces
constexpr double kSmallestScale = 0.1;  // of a test view
constexpr double kMostForMesh = 0.5;    // of the time
constexpr double kWriting = 0.3;        // reports, reading files back

double timed(const std::function<void()>& work) {
  const double start = now_s();
  work();
  return now_s() - start;
}

Camera shrunk(Camera camera, int longest) {
  Lens& lens = camera.lens;
  const float scale =
      std::min(1.0f, static_cast<float>(longest) / static_cast<float>(std::max(lens.width, lens.height)));
  const auto side = [scale](int n) { return std::max(1, static_cast<int>(scale * static_cast<float>(n))); };
  const int width = side(lens.width), height = side(lens.height);
  const float x = static_cast<float>(width) / static_cast<float>(lens.width);
  const float y = static_cast<float>(height) / static_cast<float>(lens.height);
  lens.fx *= x, lens.cx *= x, lens.width = width;
  lens.fy *= y, lens.cy *= y, lens.height = height;
  return camera;
}

/// Seconds a pixel.
double render_rate(const Camera& camera, const NgpTrainer& trainer, NgpStepper& stepper) {
  const Camera small = shrunk(camera, kProbeSide);
  const double seconds = timed([&] { stepper.render(small, trainer.background()); });
  return seconds / (static_cast<double>(small.lens.width) * small.lens.height);
}

double pixels(const Lens& lens) {
  return static_cast<double>(lens.width) * lens.height;
}

}  // namespace

OutputCosts measure_outputs(const data::PosedImages& images, const NgpTrainer& trainer, NgpStepper& stepper,
                            const OutputOptions& options) {
  OutputCosts costs;
  costs.options = options;
  costs.n_views = images.test.size();
  costs.n_cores = std::max(1u, std::thread::hardware_concurrency());
  if (!images.test.empty()) {
    // The view in the middle stands for all.
    const data::View& view = images.test[images.test.size() / 2];
    costs.view_render_s = render_rate(view.camera, trainer, stepper) * pixels(view.camera.lens);
    // A piece of the photograph: compressing an empty image would be many times faster.
    data::View part = view;
    const int side = std::min({kProbeSide, view.rgba.width, view.rgba.height});
    const int left = (view.rgba.width - side) / 2, top = (view.rgba.height - side) / 2;
    part.rgba = io::Image8(side, side, 4);
    part.mask = {};
    NgpView rendered;
    rendered.rgb = io::ImageF(side, side, 3);
    for (int y = 0; y < side; ++y)
      for (int x = 0; x < side; ++x) {
        const uint8_t* pixel = view.rgba.at(left + x, top + y);
        std::copy_n(pixel, 4, part.rgba.at(x, y));
        for (int c = 0; c < 3; ++c) rendered.rgb.at(x, y)[c] = static_cast<float>(pixel[c]) / 255.0f;
      }
    const double seconds = timed([&] {
      const NgpTestView scored = trainer.score(part, std::move(rendered));
      io::encode_png(io::to_8bit(scored.truth));
    });
    // A picture has three parts and a depth picture beside it, and is read back.
    costs.view_score_s = 5 * seconds * pixels(view.camera.lens) / (static_cast<double>(side) * side);
  }
  if (options.video) {
    const Camera camera = turntable_cameras(images, 1, options.video_side)[0];
    // Compressing takes a part of what rendering takes.
    costs.frame_s = 1.3 * render_rate(camera, trainer, stepper) * pixels(camera.lens);
  }
  if (options.mesh) {
    const std::vector<float> points(3 * kProbePoints, 0.0f);
    std::vector<float> sigma(kProbePoints);
    costs.density_s = timed([&] { stepper.density(points.data(), kProbePoints, sigma.data()); }) /
                      static_cast<double>(kProbePoints);
    // A scene of 800,000 faces that nobody could decimate took 16 s longer than a coarse one.
    costs.face_s = export_::can_decimate() ? 4e-6 : 2.2e-5;
  }
  return costs;
}

double OutputCosts::views(size_t n, double scale) const {
  // Views are rendered one by one; comparing and compressing them is spread over the cores.
  const double rounds = std::ceil(static_cast<double>(n) / n_cores);
  return scale * scale * (static_cast<double>(n) * view_render_s + rounds * view_score_s);
}

double OutputCosts::mesh(int resolution) const {
  if (resolution == 0) return 0;
  // Network queries in a part of the cube, light through all of it, then triangles, texels and the files.
  const double n_points = std::pow(static_cast<double>(resolution), 3), n_texels = 6e5;
  const double n_more_faces = kFacesPerSquare * (std::pow(resolution, 2.0) - std::pow(kLeastMesh, 2.0));
  return n_points * (0.3 * density_s + 4e-7) + n_texels * 3 * density_s +
         std::max(0.0, n_more_faces) * face_s + 1.5;
}

double OutputCosts::film(int frames, int side) const {
  const double scale = static_cast<double>(side) / options.video_side;
  return frames * frame_s * scale * scale;
}

double OutputCosts::all() const {
  return kWriting + views(n_views) + (options.mesh ? mesh(options.mesh_resolution) : 0) +
         (options.video ? film(options.video_frames, options.video_side) : 0);
}

double OutputCosts::least() const {
  return kWriting + views(std::min<size_t>(1, n_views), kSmallestScale) +
         (options.mesh ? mesh(std::min(kLeastMesh, options.mesh_resolution)) : 0);
}

int plan_mesh(const OutputCosts& costs, double seconds) {
  if (!costs.options.mesh) return 0;
  int resolution = costs.options.mesh_resolution;
  if (seconds < 0) return resolution;
  const int least = std::min(kLeastMesh, resolution);
  while (resolution > least && costs.mesh(resolution) > kMostForMesh * seconds)
    resolution = std::max(least, resolution * 3 / 4);
  return resolution;
}

void plan_views(const OutputCosts& costs, double seconds, OutputPlan& plan) {
  size_t n = costs.n_views;
  plan.view_scale = 1;
  if (seconds >= 0) {
    while (n > 1 && costs.views(n) > seconds) --n;
    const double one = costs.views(1);
    if (n == 1 && one > seconds)
      plan.view_scale = std::clamp(std::sqrt(std::max(0.0, seconds) / one), kSmallestScale, 1.0);
  }
  plan.views.clear();
  for (size_t i = 0; i < n; ++i) plan.views.push_back((2 * i + 1) * costs.n_views / (2 * n));
}

void plan_film(const OutputCosts& costs, double seconds, OutputPlan& plan) {
  const OutputOptions& options = costs.options;
  plan.film_frames = options.video ? options.video_frames : 0;
  plan.film_side = options.video_side;
  if (!options.video || seconds < 0 || costs.film(plan.film_frames, plan.film_side) <= seconds) return;
  const int least = std::min(kLeastFrames, options.video_frames);
  plan.film_frames = std::clamp(static_cast<int>(seconds / costs.frame_s), least, options.video_frames);
  const double over = costs.film(plan.film_frames, plan.film_side) / std::max(1e-9, seconds);
  if (over <= 1) return;
  plan.film_side = static_cast<int>(plan.film_side / std::sqrt(over));
  if (plan.film_side < std::min(kLeastFilmSide, options.video_side)) plan.film_frames = 0;
}

}  // namespace t3d::train
