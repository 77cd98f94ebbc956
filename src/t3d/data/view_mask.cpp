#include "t3d/data/view_mask.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include "t3d/core/error.h"
#include "t3d/data/fit_lens.h"
#include "t3d/io/image_resize.h"

namespace t3d::data {
namespace {

constexpr uint8_t kCounts = 255, kHidden = 0;
constexpr double kEdgePixels = 0.03;  // of an image: edges that a mask and the transparency cut differently
constexpr int kDarkest = 16;          // below it a mask is taken to hold numbers such as 0 and 1, not shades

uint8_t brightness(const uint8_t* rgba) {
  return rgba[3] == 0 ? uint8_t{0} : std::max({rgba[0], rgba[1], rgba[2]});
}

bool is_jpeg_name(const std::string& file) {
  const size_t dot = file.rfind('.');
  std::string ending = dot == std::string::npos ? "" : file.substr(dot);
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return ending == ".jpg" || ending == ".jpeg";
}

}  // namespace

io::Image8 read_mask(const std::string& file, int width, int height, bool black_hides) {
  const io::Image8 image = io::read_image(file, 4);
  if (!same_aspect(width, height, image.width, image.height))
    throw UserError(cat(file, ": the mask is ", image.width, "x", image.height, " pixels and its image ",
                        width, "x", height, ". Give masks of the image's size or aspect."));
  int brightest = 0;
  for (size_t i = 0; i < image.pixels.size(); i += 4)
    brightest = std::max<int>(brightest, brightness(image.pixels.data() + i));
  const bool holds_numbers = brightest < kDarkest && !is_jpeg_name(file);
  const int least = holds_numbers ? 1 : 128;
  io::Image8 mask(width, height, 1);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const auto source = [](int i, int to, int from) {
        return static_cast<int>((2 * static_cast<int64_t>(i) + 1) * from / (2 * to));
      };
      const uint8_t* p = image.at(source(x, width, image.width), source(y, height, image.height));
      const bool is_white = brightness(p) >= least;
      *mask.at(x, y) = is_white == black_hides ? kCounts : kHidden;
    }
  return mask;
}

void hide_outside(io::Image8& mask, double radius) {
  for (int y = 0; y < mask.height; ++y)
    for (int x = 0; x < mask.width; ++x)
      if (std::hypot(x + 0.5 - 0.5 * mask.width, y + 0.5 - 0.5 * mask.height) > radius)
        *mask.at(x, y) = kHidden;
}

void hide_beyond_lens(io::Image8& mask, const Lens& lens) {
  if (!lens.is_fisheye) return;
  const float angle = lens.largest_angle();
  // The image of the largest angle: a circle, but for the tangential distortion.
  const float radius = (lens.distort(angle, 0).x() - lens.cx) / lens.fx;
  for (int y = 0; y < mask.height; ++y)
    for (int x = 0; x < mask.width; ++x)
      if (std::hypot((static_cast<float>(x) + 0.5f - lens.cx) / lens.fx,
                     (static_cast<float>(y) + 0.5f - lens.cy) / lens.fy) > radius)
        *mask.at(x, y) = kHidden;
}

io::Image8 reduce_mask(const io::Image8& mask, int width, int height) {
  if (mask.width == width && mask.height == height) return mask;
  io::Image8 average = io::resize_area(mask, width, height);
  const bool any_whole =
      std::find(average.pixels.begin(), average.pixels.end(), kCounts) != average.pixels.end();
  const uint8_t least = any_whole ? kCounts : uint8_t{128};
  for (uint8_t& v : average.pixels) v = v >= least ? kCounts : kHidden;
  return average;
}

bool is_silhouette(const io::Image8& mask, const io::Image8& rgba) {
  size_t n_other = 0;
  for (size_t i = 0; i < mask.pixels.size(); ++i) {
    const uint8_t alpha = rgba.pixels[4 * i + 3];
    n_other += mask.pixels[i] == kHidden ? alpha == 255 : alpha == 0;
  }
  return static_cast<double>(n_other) <= kEdgePixels * static_cast<double>(mask.pixels.size());
}

double transparent_border(const io::Image8& rgba) {
  size_t n = 0, n_transparent = 0;
  const auto look = [&](int x, int y) {
    ++n;
    n_transparent += rgba.at(x, y)[3] == 0 ? 1 : 0;
  };
  for (int x = 0; x < rgba.width; ++x) look(x, 0), look(x, rgba.height - 1);
  for (int y = 0; y < rgba.height; ++y) look(0, y), look(rgba.width - 1, y);
  return static_cast<double>(n_transparent) / static_cast<double>(n);
}

size_t count_pixels(const io::Image8& mask) {
  return static_cast<size_t>(std::count(mask.pixels.begin(), mask.pixels.end(), kCounts));
}

}  // namespace t3d::data
