#include "t3d/data/fit_lens.h"

#include <algorithm>
#include <cmath>

#include "t3d/core/error.h"

namespace t3d::data {
namespace {

constexpr double kLargestAspectError = 0.02;
constexpr int kFirstTurned = 5;  // EXIF orientations from this one on exchange width and height

/// Focal length and principal point that the file left out.
void complete(Lens& lens, const Frame& frame) {
  const auto focal = [](double side, double angle) {
    return static_cast<float>(0.5 * side / std::tan(0.5 * angle));
  };
  if (lens.fx == 0 && frame.fov_x > 0) lens.fx = focal(lens.width, frame.fov_x);
  if (lens.fy == 0 && frame.fov_y > 0 && frame.fov_x == 0) lens.fy = focal(lens.height, frame.fov_y);
  if (lens.fx == 0) lens.fx = lens.fy;
  if (lens.fy == 0) lens.fy = lens.fx;
  if (lens.cx < 0) lens.cx = 0.5f * static_cast<float>(lens.width);
  if (lens.cy < 0) lens.cy = 0.5f * static_cast<float>(lens.height);
}

}  // namespace

bool same_aspect(int width, int height, int other_width, int other_height) {
  if (width == other_width && height == other_height) return true;
  const double w = width, h = height, ow = other_width, oh = other_height;
  // Some factor takes both sides to within a pixel.
  const double least = std::max((ow - 1) / w, (oh - 1) / h), largest = std::min((ow + 1) / w, (oh + 1) / h);
  return least < largest && std::abs(ow * h / (w * oh) - 1) < kLargestAspectError;
}

void scale_lens(Lens& lens, int width, int height) {
  const float x = static_cast<float>(width) / static_cast<float>(lens.width);
  const float y = static_cast<float>(height) / static_cast<float>(lens.height);
  lens.fx *= x, lens.cx *= x, lens.width = width;
  lens.fy *= y, lens.cy *= y, lens.height = height;
}

FittedLens fit_lens(const Frame& frame, int width, int height, int orientation) {
  FittedLens fit{frame.lens, false, false};
  Lens& lens = fit.lens;
  if (lens.width == 0) {
    lens.width = width;
    lens.height = height;
    complete(lens, frame);
    return fit;
  }
  if (!same_aspect(lens.width, lens.height, width, height)) {
    const bool fits_turned = same_aspect(lens.width, lens.height, height, width);
    if (!fits_turned || orientation < kFirstTurned)
      throw UserError(cat(frame.place, ": the image ", frame.name, " is ", width, "x", height,
                          " pixels and its lens is for ", lens.width, "x", lens.height, ". ",
                          fits_turned ? "It lies on its side: turn it upright, or correct w, h and the lens."
                                      : "Use images of that size or aspect, or correct w, h and the lens."));
    fit.is_turned = true;
    std::swap(width, height);
  }
  complete(lens, frame);
  fit.is_scaled = lens.width != width || lens.height != height;
  if (fit.is_scaled) scale_lens(lens, width, height);
  return fit;
}

}  // namespace t3d::data
