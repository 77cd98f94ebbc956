#include "t3d/system/outputs.h"

#include "t3d/core/interrupt.h"
#include "t3d/core/log.h"
#include "t3d/core/progress.h"
#include "t3d/core/text.h"
#include "t3d/io/image_grid.h"
#include "t3d/io/video.h"

namespace t3d::system {
namespace {

io::Image8 picture_at(Run& run, int64_t index, int64_t n, int side) {
  auto& system = run.system();
  return system.rgb_picture(system.render_view(run.views().circle_view(index, n, side, side)));
}

}  // namespace

void write_preview(Run& run, const std::string& path, int n, int side) {
  std::vector<io::Image8> row;
  for (int i = 0; i < n; ++i) row.push_back(picture_at(run, i, n, side));
  io::write_png(path, io::picture_grid({row}), io::ReadBack::Yes);
}

bool write_turntable(Run& run, const std::string& folder, const FilmOptions& options) {
  if (!io::has_video()) {
    log::warning("this build has no FFmpeg, so there is no turntable; see t3d doctor.");
    return false;
  }
  io::VideoOptions video;
  video.fps = options.fps;
  io::VideoWriter film(folder + "/turntable.mp4", video), picture(folder + "/turntable.gif", video);
  Progress progress("film", options.n_frames, run.control().shows_progress);
  for (int i = 0; i < options.n_frames; ++i) {
    run.control().stop.throw_if_requested(
        cat("the training is saved in ", folder, "/ckpts, the film is not made"));
    const auto frame = picture_at(run, i, options.n_frames, options.side);
    film.add(frame);
    picture.add(frame);
    progress.update(i + 1);
  }
  film.finish();
  picture.finish();
  progress.finish();
  return true;
}

}  // namespace t3d::system
