#pragma once

#include <string>

#include "t3d/system/run.h"

/// What people look at: pictures and films of a run's scene, from its evaluation circle.
namespace t3d::system {

/// A PNG of `n` views side by side, each `side` pixels, read back.
void write_preview(Run& run, const std::string& path, int n, int side);

struct FilmOptions {
  int n_frames = 48, side = 256;
  double fps = 24;
};
/// turntable.mp4 and turntable.gif in `folder`. Returns false, and says so in the log, in a build without
/// FFmpeg.
bool write_turntable(Run& run, const std::string& folder, const FilmOptions& options);

}  // namespace t3d::system
