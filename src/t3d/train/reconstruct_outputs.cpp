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
#include "t3d/data/fit_lens.h"
#include "t3d/data/view_mask.h"
#include "t3d/io/image.h"
#include "t3d/io/image_resize.h"
#include "t3d/io/json_file.h"
#include "t3d/io/video.h"
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
  json report = {{"data",
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
                  {{"load", r.seconds_load},
                   {"train", r.seconds_train},
                   {"test", r.seconds_test},
                   {"mesh", r.seconds_mesh},
                   {"film", r.seconds_film},
                   {"total", total_s}}},
                 {"memory", {{"peak_mib", static_cast<double>(peak_rss_bytes()) / (1024 * 1024)}}},
                 {"config", field::to_json(config)}};
  report["test"] = {{"views", per_image}, {"scale", r.view_scale}};
  report["test"]["psnr"] = r.views.empty() ? json(nullptr) : json(mean(r.views, &NgpViewScore::psnr));
  report["test"]["ssim"] = r.views.empty() ? json(nullptr) : json(mean(r.views, &NgpViewScore::ssim));
  return report;
}

/// "2 of 7", "1 of 7 at 0.25 of its size".
std::string scored_views(const json& report, const ReconstructReport& r) {
  return cat(r.views.size(), " of ", report["data"]["test"].get<size_t>(),
             r.view_scale < 1 ? cat(" at ", fixed(r.view_scale, 2), " of its size") : "");
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
    row("test views scored", scored_views(report, r));
  }
  row("steps", cat(r.steps));
  row("seconds, whole", fixed(report["seconds"]["total"], 1));
  row("seconds, loading, training, test views, mesh, film",
      cat(fixed(r.seconds_load, 1), ", ", fixed(r.seconds_train, 1), ", ", fixed(r.seconds_test, 1), ", ",
          fixed(r.seconds_mesh, 1), ", ", fixed(r.seconds_film, 1)));
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

/// The view with `scale` times the pixels along each side.
data::View scaled(data::View view, double scale) {
  if (scale >= 1) return view;
  const auto side = [scale](int n) {
    return std::max(std::min(n, 8), static_cast<int>(std::lround(scale * n)));
  };
  const int width = side(view.rgba.width), height = side(view.rgba.height);
  data::scale_lens(view.camera.lens, width, height);
  view.rgba = io::resize_area(view.rgba, width, height);
  if (!view.mask.empty()) view.mask = data::reduce_mask(view.mask, width, height);
  return view;
}

struct TestViews {
  std::vector<size_t> indices;  // of those that were scored
  bool is_empty = true;         // nothing was seen in any of them
};

/// Renders one view after the other and hands it to the other cores, which compare it and write its pictures.
/// Stops early, after one view at least, when the budget has no more than `seconds_after` left.
TestViews write_test_views(const std::string& folder, const data::PosedImages& images, NgpTrainer& trainer,
                           NgpStepper& stepper, const OutputPlan& plan, const TimeBudget& budget,
                           double seconds_after, const RunControl& control, ReconstructReport& report) {
  constexpr float kSeen = 0.02f;
  TestViews done;
  const size_t n = plan.views.size();
  if (n == 0) return done;
  make_folders(folder + "/test");
  Progress progress("test", static_cast<int64_t>(n), control.shows_progress);
  report.views.resize(n);
  report.view_scale = plan.view_scale;
  const size_t n_workers = std::max(1u, std::thread::hardware_concurrency());
  std::deque<std::future<void>> open;
  size_t n_done = 0;
  const auto finish_one = [&] {
    open.front().get();
    open.pop_front();
    progress.update(static_cast<int64_t>(++n_done));
  };
  for (size_t i = 0; i < n; ++i) {
    control.stop.throw_if_requested(cat("the training is saved in ", folder, "/ckpts, and ", n_done, " of ",
                                        n, " test views are measured"));
    if (open.size() == n_workers) finish_one();
    if (i > 0 && budget.seconds > 0 && budget.left() < seconds_after) break;
    const size_t index = plan.views[i];
    auto view = std::make_shared<data::View>(scaled(images.test[index], plan.view_scale));
    auto rendered = std::make_shared<NgpView>(stepper.render(view->camera, trainer.background()));
    const auto& opacity = rendered->opacity.pixels;
    done.is_empty = done.is_empty && *std::max_element(opacity.begin(), opacity.end()) < kSeen;
    done.indices.push_back(index);
    open.push_back(std::async(std::launch::async, [&, i, index, view, rendered] {
      const NgpTestView scored = trainer.score(*view, std::move(*rendered));
      report.views[i] = scored.score;
      write_comparison(test_view_path(folder, index) + ".png", scored);
      write_depth(test_view_path(folder, index) + "_depth.png", scored.rendered);
    }));
  }
  while (!open.empty()) finish_one();
  report.views.resize(done.indices.size());
  progress.finish(fixed(mean(report.views, &NgpViewScore::psnr), 2) + " dB");
  return done;
}

/// Reads every picture, mesh and film again; throws what their readers throw.
void check_outputs(const std::string& folder, const std::vector<size_t>& views,
                   const std::vector<std::string>& mesh_files, bool has_film) {
  for (const size_t i : views)
    for (const char* ending : {".png", "_depth.png"}) io::read_image(test_view_path(folder, i) + ending);
  for (const std::string& path : mesh_files)
    if (fs::file_size(path) == 0) throw SystemError(cat(path, ": is empty. Check the disk."));
  for (const char* name : {"/turntable.mp4", "/turntable.gif"})
    if (has_film) io::read_video_info(folder + name);
}

}  // namespace

double TimeBudget::left() const {
  return seconds > 0 ? std::max(0.0, started + seconds - now_s()) : -1;
}

void write_outputs(const std::string& folder, const data::PosedImages& images, const field::NgpConfig& config,
                   NgpTrainer& trainer, NgpStepper& stepper, const OutputOptions& options,
                   const TimeBudget& budget, ReconstructReport& report) {
  constexpr double kSafety = 0.85;     // what is planned with, of the time that is left
  constexpr double kFilmShare = 0.35;  // of what the mesh leaves
  const bool has_video = options.video && io::has_video();
  const OutputCosts costs = measure_outputs(images, trainer, stepper, options);
  const auto planned = [&budget](double part) {
    return budget.seconds > 0 ? part * kSafety * budget.left() : -1;
  };
  OutputPlan plan;
  const double mesh_start = now_s();
  plan.mesh_resolution = plan_mesh(costs, planned(1));
  if (options.mesh && plan.mesh_resolution < options.mesh_resolution)
    log::info(cat("to keep to the time budget the mesh is made of ", plan.mesh_resolution,
                  " samples a side instead of ", options.mesh_resolution));
  if (options.mesh) {
    export_::ExportOptions mesh = options.mesh_files;
    mesh.surface.resolution = plan.mesh_resolution;
    report.mesh_files = write_field_mesh(folder, images, stepper, std::move(mesh));
  }
  report.seconds_mesh = now_s() - mesh_start;

  const double test_start = now_s(), whole_film = costs.film(options.video_frames, options.video_side);
  const double film_seconds = has_video ? std::min(whole_film, std::max(0.0, planned(kFilmShare))) : 0;
  plan_views(costs, budget.seconds > 0 ? planned(1) - film_seconds : -1, plan);
  const TestViews scored =
      write_test_views(folder, images, trainer, stepper, plan, budget, film_seconds, options.control, report);
  if (scored.indices.size() < images.test.size() || plan.view_scale < 1)
    log::info(cat("to keep to the time budget ", scored.indices.size(), " of ", images.test.size(),
                  " test views are scored",
                  plan.view_scale < 1 ? cat(", at ", fixed(plan.view_scale, 2), " of its size") : ""));
  report.seconds_test = now_s() - test_start;
  report.is_empty = !scored.indices.empty() && scored.is_empty;

  const double film_start = now_s();
  if (has_video) {
    plan_film(costs, planned(1), plan);
    if (plan.film_frames == 0)
      log::info("to keep to the time budget there is no film");
    else if (plan.film_frames < options.video_frames || plan.film_side < options.video_side)
      log::info(cat("to keep to the time budget the film has ", plan.film_frames, " frames of at most ",
                    plan.film_side, " pixels instead of ", options.video_frames, " of ", options.video_side));
    if (plan.film_frames > 0)
      write_turntable(folder, images, trainer.background(), stepper, plan.film_frames, plan.film_side,
                      options.control);
  } else if (options.video) {
    write_turntable(folder, images, trainer.background(), stepper, 0, 0);  // says what is missing
  }
  report.seconds_film = now_s() - film_start;

  const json figures = report_json(report, images, config, now_s() - budget.started);
  io::write_json_file(folder + "/report.json", figures);
  const std::string table = report_markdown(figures, report);
  write_file_atomically(folder + "/report.md", table);
  check_outputs(folder, scored.indices, report.mesh_files, plan.film_frames > 0 && has_video);
  if (io::read_json_file(folder + "/report.json") != figures ||
      read_whole_file(folder + "/report.md") != table)
    throw SystemError(cat(folder, ": the report does not read back as written. Check the disk."));
  const auto part = [](const char* name, double seconds) { return cat(name, " ", fixed(seconds, 1), ", "); };
  log::info(cat("seconds: ", part("loading", report.seconds_load), part("training", report.seconds_train),
                options.mesh ? part("mesh", report.seconds_mesh) : "",
                images.test.empty() ? "" : part("test views", report.seconds_test),
                options.video ? part("film", report.seconds_film) : "", "in all ",
                fixed(now_s() - budget.started, 1), budget.seconds > 0 ? cat(" of ", budget.seconds) : ""));
  log::info(cat(
      "wrote ", folder,
      report.views.empty()
          ? ""
          : cat(": PSNR ", fixed(figures["test"]["psnr"], 2), " dB, SSIM ", fixed(figures["test"]["ssim"], 4),
                report.views.size() < images.test.size()
                    ? cat(" over ", report.views.size(), " of ", images.test.size(), " test views")
                    : ""),
      ", ", counted(report.steps, "step"), ", ", human_seconds(figures["seconds"]["total"])));
}

}  // namespace t3d::train
