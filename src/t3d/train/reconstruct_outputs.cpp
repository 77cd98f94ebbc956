#include "t3d/train/reconstruct_outputs.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "t3d/core/atomic_file.h"
#include "t3d/core/clock.h"
#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/core/memory_usage.h"
#include "t3d/core/progress.h"
#include "t3d/core/sentence.h"
#include "t3d/io/image.h"
#include "t3d/io/json_file.h"
#include "t3d/io/video.h"
#include "t3d/ops/occupancy_layout.h"
#include "t3d/train/field_mesh.h"
#include "t3d/train/reconstruct_media.h"
#include "t3d/train/turntable.h"

namespace t3d::train {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

/// Mean over views; equal images (an infinite PSNR) count as 100 dB so that the mean stays a number.
double mean(const std::vector<NgpViewScore>& views, double NgpViewScore::*value) {
  double sum = 0;
  for (const auto& view : views) sum += std::min(100.0, view.*value);
  return views.empty() ? 0 : sum / static_cast<double>(views.size());
}

json report_json(const ReconstructReport& r, const data::PosedImages& images, const field::NgpConfig& config,
                 double total_s) {
  json per_image = json::array();
  for (const auto& view : r.views)
    per_image.push_back({{"name", view.name}, {"psnr", std::min(100.0, view.psnr)}, {"ssim", view.ssim}});
  json report = {
      {"data",
       {{"kind", images.kind},
        {"folder", images.folder},
        {"train", images.train.size()},
        {"val", images.val.size()},
        {"test", images.test.size()},
        {"missing", images.missing},
        {"aabb_scale", images.aabb_scale}}},
      {"device", r.device},
      {"precision", r.precision},
      {"steps", r.steps},
      {"seconds",
       {{"load", r.seconds_load}, {"train", r.seconds_train}, {"test", r.seconds_test}, {"total", total_s}}},
      {"memory", {{"peak_mib", static_cast<double>(peak_rss_bytes()) / (1024 * 1024)}}},
      {"config", field::to_json(config)}};
  report["test"] = {{"views", per_image}};
  report["test"]["psnr"] = r.views.empty() ? json(nullptr) : json(mean(r.views, &NgpViewScore::psnr));
  report["test"]["ssim"] = r.views.empty() ? json(nullptr) : json(mean(r.views, &NgpViewScore::ssim));
  return report;
}

std::string report_markdown(const json& report, const ReconstructReport& r) {
  std::string text =
      cat("# ", report["data"]["folder"].get<std::string>(), "\n\n| figure | value |\n| --- | --- |\n");
  const auto row = [&text](const std::string& name, const std::string& value) {
    text += cat("| ", name, " | ", value, " |\n");
  };
  if (!r.views.empty()) {
    row("PSNR, test views", fixed(report["test"]["psnr"], 2) + " dB");
    row("SSIM, test views", fixed(report["test"]["ssim"], 4));
  }
  row("steps", cat(r.steps));
  row("seconds, whole", fixed(report["seconds"]["total"], 1));
  row("seconds, training", fixed(r.seconds_train, 1));
  row("peak memory", fixed(report["memory"]["peak_mib"], 0) + " MiB");
  row("device", cat(r.device, ", networks in ", r.precision));
  if (!r.views.empty()) text += "\n| test view | PSNR | SSIM |\n| --- | --- | --- |\n";
  for (const auto& view : r.views)
    text += cat("| ", view.name, " | ", fixed(view.psnr, 2), " | ", fixed(view.ssim, 4), " |\n");
  return text;
}

std::string test_view_path(const std::string& folder, size_t index) {
  char name[32];
  std::snprintf(name, sizeof name, "/test/%03zu", index);
  return folder + name;
}

/// Renders one view after the other and hands it to the other cores, which compare it and write its pictures.
void write_test_views(const std::string& folder, const data::PosedImages& images, NgpTrainer& trainer,
                      NgpStepper& stepper, ReconstructReport& report) {
  const size_t n = images.test.size();
  if (n == 0) return;
  make_folders(folder + "/test");
  Progress progress("test", static_cast<int64_t>(n));
  report.views.resize(n);
  const size_t n_workers = std::max(1u, std::thread::hardware_concurrency());
  std::deque<std::future<void>> open;
  size_t n_done = 0;
  const auto finish_one = [&] {
    open.front().get();
    open.pop_front();
    progress.update(static_cast<int64_t>(++n_done));
  };
  for (size_t i = 0; i < n; ++i) {
    if (open.size() == n_workers) finish_one();
    auto rendered = std::make_shared<NgpView>(stepper.render(images.test[i].camera, trainer.background()));
    open.push_back(std::async(std::launch::async, [&, i, rendered] {
      const NgpTestView view = trainer.score(images.test[i], std::move(*rendered));
      report.views[i] = view.score;
      write_comparison(test_view_path(folder, i) + ".png", view);
      write_depth(test_view_path(folder, i) + "_depth.png", view.rendered);
    }));
  }
  while (!open.empty()) finish_one();
  progress.finish(fixed(mean(report.views, &NgpViewScore::psnr), 2) + " dB");
}

/// The camera with a quarter of the pixels along each side: what an estimate can afford to render.
constexpr int kEstimateShrink = 4;
Camera shrunk(Camera camera) {
  Lens& lens = camera.lens;
  const float x = 1.0f / kEstimateShrink;
  lens.width = std::max(1, lens.width / kEstimateShrink);
  lens.height = std::max(1, lens.height / kEstimateShrink);
  lens.fx *= x, lens.fy *= x, lens.cx *= x, lens.cy *= x;
  return camera;
}

/// Seconds that the whole of `camera` takes to render.
double seconds_to_render(const Camera& camera, const NgpTrainer& trainer, NgpStepper& stepper) {
  const Camera small = shrunk(camera);
  const double start = now_s();
  stepper.render(small, trainer.background());
  const double n_small = static_cast<double>(small.lens.width) * small.lens.height;
  return (now_s() - start) * camera.lens.width * camera.lens.height / n_small;
}

struct FilmPlan {
  int n_frames = 0, side = 0;
  double seconds = 0;
};

constexpr int kLeastFrames = 12;  // with fewer a film does not turn

/// Fewer frames first, then smaller ones, until the film keeps to its share of the budget.
FilmPlan plan_film(const data::PosedImages& images, const NgpTrainer& trainer, NgpStepper& stepper,
                   const OutputOptions& options) {
  const Camera camera = turntable_cameras(images, 1, options.video_side)[0];
  // Compressing takes a part of what rendering takes.
  double frame_s = 1.3 * seconds_to_render(camera, trainer, stepper);
  FilmPlan plan{options.video_frames, options.video_side, 0};
  if (options.video_seconds > 0 && frame_s * plan.n_frames > options.video_seconds) {
    const int least = std::min(kLeastFrames, options.video_frames);
    plan.n_frames =
        std::clamp(static_cast<int>(options.video_seconds / frame_s), least, options.video_frames);
    const double over = frame_s * plan.n_frames / options.video_seconds;
    if (over > 1) {
      const int longest = std::max(camera.lens.width, camera.lens.height);
      plan.side = std::max(std::min(128, longest), static_cast<int>(longest / std::sqrt(over)));
      frame_s *= std::pow(static_cast<double>(plan.side) / longest, 2);
    }
  }
  plan.seconds = frame_s * plan.n_frames;
  return plan;
}

/// Reads every picture, mesh and film again; throws what their readers throw.
void check_outputs(const std::string& folder, size_t n_views, bool has_mesh, bool has_film) {
  for (size_t i = 0; i < n_views; ++i)
    for (const char* ending : {".png", "_depth.png"}) io::read_image(test_view_path(folder, i) + ending);
  for (const char* name : {"/mesh.glb", "/mesh.obj", "/mesh.mtl", "/mesh.png", "/mesh.ply"})
    if (has_mesh && fs::file_size(folder + name) == 0)
      throw SystemError(cat(folder, name, ": is empty. Check the disk."));
  for (const char* name : {"/turntable.mp4", "/turntable.gif"})
    if (has_film) io::read_video_info(folder + name);
}

}  // namespace

double estimate_outputs(const data::PosedImages& images, NgpTrainer& trainer, NgpStepper& stepper,
                        const OutputOptions& options) {
  const auto timed = [](const auto& work) {
    const double start = now_s();
    work();
    return now_s() - start;
  };
  double total = 0.5;
  if (!images.test.empty()) {
    // Views are rendered one by one; comparing and compressing them is spread over the cores.
    const data::View& view = images.test[0];
    total += seconds_to_render(view.camera, trainer, stepper) * static_cast<double>(images.test.size());
    NgpView blank;
    blank.rgb = io::ImageF(view.rgba.width, view.rgba.height, 3);
    const double cores = std::max(1u, std::thread::hardware_concurrency());
    const double each = timed([&] {
      const NgpTestView scored = trainer.score(view, std::move(blank));
      io::encode_png(io::to_8bit(scored.truth));
    });
    // A picture has three parts and a depth picture beside it, and is read back.
    total += 5 * each * std::ceil(static_cast<double>(images.test.size()) / cores);
  }
  if (options.video) total += plan_film(images, trainer, stepper, options).seconds;
  if (options.mesh) {
    constexpr int64_t kPoints = 1 << 16;
    const std::vector<float> points(3 * kPoints, 0.0f);
    std::vector<float> sigma(kPoints);
    const double per_point =
        timed([&] { stepper.density(points.data(), kPoints, sigma.data()); }) / static_cast<double>(kPoints);
    // Network queries in a part of the cube, light through all of it, then triangles, texels and the files.
    const double n_points = std::pow(static_cast<double>(options.mesh_resolution), 3), n_texels = 6e5;
    total += n_points * (0.3 * per_point + 4e-7) + n_texels * 3 * per_point + 1.5;
  }
  return 1.15 * total;
}

void write_outputs(const std::string& folder, const data::PosedImages& images, const field::NgpConfig& config,
                   NgpTrainer& trainer, NgpStepper& stepper, const OutputOptions& options, double started,
                   ReconstructReport& report) {
  const double test_start = now_s();
  write_test_views(folder, images, trainer, stepper, report);
  report.seconds_test = now_s() - test_start;
  const bool has_mesh = options.mesh && write_field_mesh(folder, images, stepper, options.mesh_resolution);
  if (options.video) {
    const FilmPlan film = plan_film(images, trainer, stepper, options);
    if (film.n_frames < options.video_frames || film.side < options.video_side)
      log::info(cat("to keep to the time budget the film has ", film.n_frames, " frames of at most ",
                    film.side, " pixels instead of ", options.video_frames, " of ", options.video_side));
    write_turntable(folder, images, trainer.background(), stepper, film.n_frames, film.side);
  }
  const json figures = report_json(report, images, config, now_s() - started);
  io::write_json_file(folder + "/report.json", figures);
  const std::string table = report_markdown(figures, report);
  write_file_atomically(folder + "/report.md", table);
  check_outputs(folder, report.views.size(), has_mesh, options.video && io::has_video());
  if (io::read_json_file(folder + "/report.json") != figures ||
      read_whole_file(folder + "/report.md") != table)
    throw SystemError(cat(folder, ": the report does not read back as written. Check the disk."));
  log::info(cat("wrote ", folder,
                report.views.empty() ? ""
                                     : cat(": PSNR ", fixed(figures["test"]["psnr"], 2), " dB, SSIM ",
                                           fixed(figures["test"]["ssim"], 4)),
                ", ", counted(report.steps, "step"), ", ", human_seconds(figures["seconds"]["total"])));
}

}  // namespace t3d::train
