#include "t3d/data/backdrop.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

namespace t3d::data {
namespace {

constexpr double kLeastBorder = 0.95;  // of the border's pixels
constexpr int kTolerance = 6;          // of 255, around the median

using Colour = std::array<uint8_t, 3>;

std::vector<Colour> border_colours(const std::vector<View>& views) {
  std::vector<Colour> colours;
  for (const View& view : views) {
    const int width = view.rgba.width, height = view.rgba.height;
    const auto add = [&](int x, int y) {
      const uint8_t* p = view.rgba.at(x, y);
      if (view.mask.empty() || *view.mask.at(x, y) != 0) colours.push_back({p[0], p[1], p[2]});
    };
    for (int x = 0; x < width; ++x) add(x, 0), add(x, height - 1);
    for (int y = 0; y < height; ++y) add(0, y), add(width - 1, y);
  }
  return colours;
}

}  // namespace

std::optional<Vec3f> find_backdrop(const PosedImages& images) {
  if (images.has_alpha || images.train.empty() || images.train[0].rgba.empty()) return std::nullopt;
  const float half = 0.5f * images.aabb_scale;
  for (const View& view : images.train)
    if (view.camera.position().cwiseAbs().maxCoeff() < half) return std::nullopt;
  std::vector<Colour> colours = border_colours(images.train);
  if (colours.empty()) return std::nullopt;
  Colour median;
  for (size_t c = 0; c < 3; ++c) {
    const auto middle = colours.begin() + static_cast<std::ptrdiff_t>(colours.size() / 2);
    std::nth_element(colours.begin(), middle, colours.end(),
                     [c](const Colour& a, const Colour& b) { return a[c] < b[c]; });
    median[c] = (*middle)[c];
  }
  const auto n = std::count_if(colours.begin(), colours.end(), [&](const Colour& colour) {
    return std::abs(colour[0] - median[0]) <= kTolerance && std::abs(colour[1] - median[1]) <= kTolerance &&
           std::abs(colour[2] - median[2]) <= kTolerance;
  });
  if (static_cast<double>(n) < kLeastBorder * static_cast<double>(colours.size())) return std::nullopt;
  return Vec3f(median[0], median[1], median[2]) / 255.0f;
}

}  // namespace t3d::data
