#pragma once

#include <memory>
#include <string>

#include "t3d/io/image.h"

namespace t3d::io {

/// Whether this build can write video, which takes FFmpeg's libraries.
bool has_video();

struct VideoOptions {
  double fps = 30;  // threestudio's
  /// MP4: x264's constant rate factor, 0 (lossless) to 51.
  int quality = 18;
  /// MP4: frames are enlarged to multiples of this by repeating their last column and row. H.264 in yuv420p
  /// needs 2; threestudio uses 16.
  int size_multiple = 2;
};

/// Writes frames as they come, so that a film never lies in memory. By the path's ending:
///   .mp4   H.264, yuv420p: plays in every browser
///   .gif   256 colours chosen for the whole film, dithered; loops; fps is rounded to hundredths of a second
///   a frame.
///          Frames are held (8 bits, RGB) until finish().
/// Frames have 3 or 4 channels (alpha is dropped) and one size.
///
/// The file appears under its name only in finish(), after it has been opened again and its frames counted.
/// Throws UserError (no FFmpeg in this build, other ending, frames of different sizes) and SystemError.
class VideoWriter {
 public:
  explicit VideoWriter(const std::string& path, const VideoOptions& options = {});
  ~VideoWriter();
  VideoWriter(VideoWriter&&) noexcept;
  VideoWriter& operator=(VideoWriter&&) noexcept;

  void add(const Image8& frame);
  void finish();

  class Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

struct VideoInfo {
  int width = 0, height = 0, n_frames = 0;
  double fps = 0;
  std::string codec;
};

/// Decodes the whole file and counts. Throws UserError when it is no video or damaged.
VideoInfo read_video_info(const std::string& path);

/// Frame `index` as RGB.
Image8 read_video_frame(const std::string& path, int index);

}  // namespace t3d::io
