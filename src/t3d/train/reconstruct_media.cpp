#include "t3d/train/reconstruct_media.h"

#include <algorithm>
#include <cmath>

#include "t3d/core/error.h"
#include "t3d/core/log.h"

namespace t3d::train {
namespace {

io::ImageF side_by_side(const std::vector<io::ImageF>& images) {
  int width = 0;
  for (const auto& image : images) width += image.width;
  io::ImageF sheet(width, images[0].height, 3);
  int left = 0;
  for (const auto& image : images) {
    for (int y = 0; y < image.height; ++y)
      std::copy_n(image.at(0, y), 3 * static_cast<size_t>(image.width), sheet.at(left, y));
    left += image.width;
  }
  return sheet;
}

/// Turbo-like ramp from blue over green to red, for v in [0,1].
void false_colour(float v, float* rgb) {
  const auto bump = [v](float centre) { return std::clamp(1.5f - std::abs(4.0f * v - centre), 0.0f, 1.0f); };
  rgb[0] = bump(3);
  rgb[1] = bump(2);
  rgb[2] = bump(1);
}

}  // namespace

void write_comparison(const std::string& path, const NgpTestView& view) {
  io::ImageF difference(view.truth.width, view.truth.height, 3);
  for (size_t i = 0; i < difference.pixels.size(); ++i)
    if (view.mask.empty() || view.mask.pixels[i / 3] != 0)
      difference.pixels[i] = 5.0f * std::abs(view.rendered.rgb.pixels[i] - view.truth.pixels[i]);
  io::write_png(path, io::to_8bit(side_by_side({view.rendered.rgb, view.truth, difference})),
                io::ReadBack::Yes);
}

void write_depth(const std::string& path, const NgpView& view) {
  float low = 1e30f, high = 0;
  const auto& opacity = view.opacity.pixels;
  const auto distance = [&](size_t i) { return view.depth.pixels[i] / opacity[i]; };
  for (size_t i = 0; i < opacity.size(); ++i) {
    if (opacity[i] < 0.5f) continue;
    low = std::min(low, distance(i));
    high = std::max(high, distance(i));
  }
  io::ImageF picture(view.depth.width, view.depth.height, 3);
  for (size_t i = 0; i < opacity.size(); ++i)
    if (opacity[i] >= 0.5f)
      false_colour(high > low ? 1.0f - (distance(i) - low) / (high - low) : 0.5f,
                   picture.pixels.data() + 3 * i);
  io::write_png(path, io::to_8bit(picture), io::ReadBack::Yes);
}

}  // namespace t3d::train
