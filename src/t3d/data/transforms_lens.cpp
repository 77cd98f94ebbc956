#include <algorithm>
#include <cctype>
#include <cmath>

#include "t3d/core/error.h"
#include "t3d/data/transforms_json.h"

namespace t3d::data {
namespace {

constexpr double kRadians = 3.14159265358979323846 / 180;  // of a degree
constexpr double kWidestAngle = 3.1;                       // of a perspective lens

int parse_side(const TransformsValues& values, const char* key) {
  const double side = values.number(key, 0);
  if (side < 0 || side > 32768 || side != std::floor(side))
    throw UserError(
        cat(values.place, ": ", key, " is ", side, " where a number of pixels up to 32768 was expected."));
  return static_cast<int>(side);
}

struct LensKind {
  bool is_fisheye = false, is_rational = false, has_tangential = true;
};

LensKind parse_kind(const TransformsValues& values) {
  LensKind kind;
  kind.is_fisheye = values.flag("is_fisheye");
  kind.has_tangential = !kind.is_fisheye;
  kind.is_rational = values.number("k5", 0) != 0 || values.number("k6", 0) != 0;
  if (values.find("camera_model") == nullptr) return kind;
  std::string name = values.text("camera_model");
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  const auto is_one_of = [&name](std::initializer_list<const char*> names) {
    return std::any_of(names.begin(), names.end(), [&name](const char* one) { return name == one; });
  };
  if (is_one_of({"OPENCV_FISHEYE", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE", "FISHEYE", "SIMPLE_FISHEYE"})) {
    kind.is_fisheye = true;
    kind.has_tangential = false;
  } else if (name == "FULL_OPENCV") {
    kind.is_rational = true;
  } else if (!is_one_of({"OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "PERSPECTIVE"})) {
    throw UserError(
        cat(values.place, ": camera_model ", name,
            " is not supported; PINHOLE, OPENCV, OPENCV_FISHEYE and their simple forms are. Undistort "
            "the images first."));
  }
  return kind;
}

/// k1, k2, k3, k4, p1, p2 by their own keys, or nerfstudio's list of them.
std::array<float, 6> parse_distortion(const TransformsValues& values) {
  constexpr const char* kNames[6] = {"k1", "k2", "k3", "k4", "p1", "p2"};
  std::array<float, 6> out{};
  const nlohmann::json* list = values.find("distortion_params");
  if (list != nullptr) {
    if (!list->is_array() || list->size() != out.size())
      throw UserError(cat(values.place, ": distortion_params is ", list->dump().substr(0, 60),
                          " where k1, k2, k3, k4, p1, p2 were expected."));
    const nlohmann::json named = {{"k1", (*list)[0]}, {"k2", (*list)[1]}, {"k3", (*list)[2]},
                                  {"k4", (*list)[3]}, {"p1", (*list)[4]}, {"p2", (*list)[5]}};
    const TransformsValues entries{named, nullptr, values.place + ": distortion_params"};
    for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(entries.number(kNames[i], 0));
    return out;
  }
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(values.number(kNames[i], 0));
  return out;
}

void parse_focal(const TransformsValues& values, Frame& frame) {
  Lens& lens = frame.lens;
  lens.fx = static_cast<float>(values.number("fl_x", 0));
  lens.fy = static_cast<float>(values.number("fl_y", 0));
  frame.fov_x = values.number("x_fov", 0) * kRadians;
  frame.fov_y = values.number("y_fov", 0) * kRadians;
  if (frame.fov_x == 0) frame.fov_x = values.number("camera_angle_x", 0);
  if (frame.fov_y == 0) frame.fov_y = values.number("camera_angle_y", 0);
  // A fisheye lens says its focal length; its angle of view says little.
  const bool has_focal = lens.fx > 0 || lens.fy > 0;
  if (lens.is_fisheye && has_focal) frame.fov_x = frame.fov_y = 0;
  if (!(lens.fx >= 0) || !(lens.fy >= 0) || frame.fov_x < 0 || frame.fov_x >= kWidestAngle ||
      frame.fov_y < 0 || frame.fov_y >= kWidestAngle)
    throw UserError(cat(values.place, ": the focal length or angle is negative or too wide (fl_x ", lens.fx,
                        ", fl_y ", lens.fy, ", camera_angle_x ", frame.fov_x, ", camera_angle_y ",
                        frame.fov_y, "). Correct it."));
  if (!has_focal && (lens.is_fisheye || (frame.fov_x == 0 && frame.fov_y == 0)))
    throw UserError(cat(values.place, ": the lens is missing; fl_x",
                        lens.is_fisheye ? "" : " or camera_angle_x", " was expected."));
  // As instant-ngp: an angle along y alone does not override a focal length along x.
  if (lens.fx == 0 && frame.fov_x == 0 && lens.fy > 0) lens.fx = lens.fy;
  if (lens.fy == 0 && frame.fov_y == 0 && lens.fx > 0) lens.fy = lens.fx;
}

}  // namespace

void parse_transforms_lens(const TransformsValues& values, Frame& frame) {
  Lens& lens = frame.lens;
  const LensKind kind = parse_kind(values);
  lens.is_fisheye = kind.is_fisheye;
  lens.width = parse_side(values, "w");
  lens.height = parse_side(values, "h");
  if ((lens.width == 0) != (lens.height == 0))
    throw UserError(cat(values.place, ": only one of w and h is given; give both or neither."));
  parse_focal(values, frame);
  lens.cx = static_cast<float>(values.number("cx", -1));
  lens.cy = static_cast<float>(values.number("cy", -1));
  const std::array<float, 6> d = parse_distortion(values);
  lens.k1 = d[0], lens.k2 = d[1], lens.k3 = d[2];
  (kind.is_rational ? lens.d1 : lens.k4) = d[3];
  lens.p1 = d[4], lens.p2 = d[5];
  lens.d2 = static_cast<float>(values.number("k5", 0));
  lens.d3 = static_cast<float>(values.number("k6", 0));
  if (kind.is_fisheye && (lens.p1 != 0 || lens.p2 != 0 || kind.is_rational))
    throw UserError(cat(values.place,
                        ": a fisheye lens with p1, p2, k5 or k6 is not supported; k1 to k4 are. "
                        "Undistort the images first."));
  frame.crop_radius = values.number("fisheye_crop_radius", 0);
  if (frame.crop_radius < 0)
    throw UserError(cat(values.place, ": fisheye_crop_radius is ", frame.crop_radius,
                        " where a number of pixels was expected."));
}

}  // namespace t3d::data
