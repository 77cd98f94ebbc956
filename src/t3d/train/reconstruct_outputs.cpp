#include "t3d/train/reconstruct_outputs.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <deque>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/core/memory_usage.h"
#include "t3d/core/progress.h"
#include "t3d/io/json_file.h"
#include "t3d/ops/occupancy_layout.h"
#include "t3d/train/field_mesh.h"
#include "t3d/train/reconstruct_media.h"
#include "t3d/train/turntable.h"

namespace t3d::train {
namespace {

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
  row("device", r.device);
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

}  // namespace

namespace {

/// What rendering and compressing a frame of the film takes.
double seconds_per_frame(const data::PosedImages& images, const NgpTrainer& trainer, NgpStepper& stepper,
                         const OutputOptions& options) {
  const double start = now_seconds();
  stepper.render(turntable_cameras(images, 1, options.video_side)[0], trainer.background());
  return 1.3 * (now_seconds() - start);
}

/// At least 12 frames, or a film would not turn.
int affordable_frames(const OutputOptions& options, double frame_s) {
  if (options.video_seconds <= 0 || frame_s * options.video_frames <= options.video_seconds)
    return options.video_frames;
  return std::clamp(static_cast<int>(options.video_seconds / frame_s), std::min(12, options.video_frames),
                    options.video_frames);
}

}  // namespace

double estimate_outputs(const data::PosedImages& images, NgpTrainer& trainer, NgpStepper& stepper,
                        const OutputOptions& options) {
  const auto timed = [](const auto& work) {
    const double start = now_seconds();
    work();
    return now_seconds() - start;
  };
  double total = 0.5;
  if (!images.test.empty()) {
    // Views are rendered one by one; comparing and compressing them is spread over the cores.
    const data::View& view = images.test[0];
    NgpView rendered;
    total += timed([&] { rendered = stepper.render(view.camera, trainer.background()); }) *
             static_cast<double>(images.test.size());
    const double cores = std::max(1u, std::thread::hardware_concurrency());
    const double each = timed([&] {
      const NgpTestView scored = trainer.score(view, std::move(rendered));
      io::encode_png(io::to_8bit(scored.truth));
    });
    // A picture has three parts and a depth picture beside it, and is read back.
    total += 5 * each * std::ceil(static_cast<double>(images.test.size()) / cores);
  }
  if (options.video) {
    const double frame_s = seconds_per_frame(images, trainer, stepper, options);
    total += frame_s * affordable_frames(options, frame_s);
  }
  if (options.mesh) {
    constexpr int64_t kPoints = 1 << 16;
    const std::vector<float> points(3 * kPoints, 0.0f);
    std::vector<float> sigma(kPoints);
    const double per_point =
        timed([&] { stepper.density(points.data(), kPoints, sigma.data()); }) / static_cast<double>(kPoints);
    // Network queries in a part of the cube, then triangles and three files.
    const double n_points = std::pow(static_cast<double>(options.mesh_resolution), 3);
    total += n_points * (0.15 * per_point + 1.5e-7) + 1.0;
  }
  return 1.15 * total;
}

void write_outputs(const std::string& folder, const data::PosedImages& images, const field::NgpConfig& config,
                   NgpTrainer& trainer, NgpStepper& stepper, const OutputOptions& options, double started,
                   ReconstructReport& report) {
  const double test_start = now_seconds();
  write_test_views(folder, images, trainer, stepper, report);
  report.seconds_test = now_seconds() - test_start;
  if (options.mesh) write_field_mesh(folder, images, stepper, options.mesh_resolution);
  if (options.video) {
    const int n_frames = affordable_frames(options, seconds_per_frame(images, trainer, stepper, options));
    if (n_frames < options.video_frames)
      log::info(cat("the film has ", n_frames, " frames instead of ", options.video_frames,
                    " to keep to the time budget"));
    write_turntable(folder, images, trainer.background(), stepper, n_frames, options.video_side);
  }
  const json figures = report_json(report, images, config, now_seconds() - started);
  io::write_json_file(folder + "/report.json", figures);
  write_file_atomically(folder + "/report.md", report_markdown(figures, report));
  T3D_CHECK(io::read_json_file(folder + "/report.json") == figures, folder,
            "/report.json does not read back as written");
  log::info(cat("wrote ", folder,
                report.views.empty() ? ""
                                     : cat(": PSNR ", fixed(figures["test"]["psnr"], 2), " dB, SSIM ",
                                           fixed(figures["test"]["ssim"], 4)),
                ", ", report.steps, " steps, ", human_seconds(figures["seconds"]["total"])));
}

}  // namespace t3d::train
