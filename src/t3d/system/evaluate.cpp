// The parts of a run that look at the scene: validation and test.

#include <algorithm>
#include <filesystem>

#include "t3d/core/atomic_file.h"
#include "t3d/core/interrupt.h"
#include "t3d/core/log.h"
#include "t3d/core/progress.h"
#include "t3d/core/sentence.h"
#include "t3d/io/image_grid.h"
#include "t3d/io/video.h"
#include "t3d/system/run.h"

namespace t3d::system {
namespace {

/// A film beside the views, or null and a warning where the build has no FFmpeg.
std::unique_ptr<io::VideoWriter> open_film(const std::string& path, const char* of_what) {
  if (!io::has_video()) {
    log::warning(
        cat("this build has no FFmpeg, so there is no film of the ", of_what, " views; see t3d doctor."));
    return nullptr;
  }
  io::VideoOptions options;
  options.size_multiple = 16;
  return std::make_unique<io::VideoWriter>(path, options);
}

/// The view's pictures side by side: threestudio's grid.
io::Image8 strip(const System& system, const render::RenderOutput& out) {
  std::vector<io::Image8> row;
  for (NamedPicture& picture : system.pictures(out)) row.push_back(std::move(picture.image));
  return io::picture_grid({row});
}

}  // namespace

void Run::write_validation(int64_t n_views) {
  n_views = std::min(n_views, views_->n_val_views());
  if (trainer_.limit_val_batches) n_views = std::min(n_views, *trainer_.limit_val_batches);
  make_folders(save_folder());
  system_->update_step(step_, /*is_training=*/false);
  views_->update_step(step_);
  std::unique_ptr<io::VideoWriter> film;
  if (system_->joins_validation() && n_views > 0)
    film = open_film(cat(save_folder(), "/it", step_, "-val.mp4"), "validation");
  for (int64_t i = 0; i < n_views; ++i) {
    const auto picture = strip(*system_, system_->render_view(views_->val_view(i)));
    io::write_png(cat(save_folder(), "/it", step_, "-", i, ".png"), picture);
    if (film) film->add(picture);
    if (metrics_) metrics_->image(cat("val/view_", i), step_, picture);
  }
  if (film) film->finish();
}

void Run::write_guidance_picture(const io::Image8& picture) {
  make_folders(save_folder());
  io::write_png(cat(save_folder(), "/it", step_, "-train.png"), picture);
  if (metrics_) metrics_->image("train/guidance", step_, picture);
}

void Run::validate() {
  if (system_->evaluates_with_guidance()) system_->open_guidance();
  write_validation(views_->n_val_views());
}

void Run::test() {
  if (system_->evaluates_with_guidance()) system_->open_guidance();
  const std::string base = cat(save_folder(), "/it", step_, "-test");
  make_folders(base);
  system_->update_step(step_, /*is_training=*/false);
  const auto film = open_film(base + ".mp4", "test");
  const int64_t n = views_->n_test_views();
  Progress progress("test", n, control_.shows_progress);
  for (int64_t i = 0; i < n; ++i) {
    control_.stop.throw_if_requested(cat("the checkpoint is kept; ", i, " of ", counted(n, "test view"),
                                         i == 1 ? " is" : " are", " in ", base));
    const auto picture = strip(*system_, system_->render_view(views_->test_view(i)));
    io::write_png(cat(base, "/", i, ".png"), picture);
    if (film) film->add(picture);
    progress.update(i + 1);
  }
  if (film) film->finish();
  progress.finish();
  log::info(cat(base, film ? ".mp4" : "", ": ", counted(n, "test view")));
}

}  // namespace t3d::system
