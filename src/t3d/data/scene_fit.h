#pragma once

#include <vector>

#include "t3d/data/posed_images.h"

namespace t3d::data {

/// Where cameras look.
struct CameraFocus {
  Vec3d centre = Vec3d::Zero();  // the place nearest to all optical axes, in the least squares
  bool is_certain = false;       // the axes are not near parallel, and the place lies before most cameras
};
/// poses: camera to world, OpenGL axes; not empty.
CameraFocus camera_focus(const std::vector<Mat4d>& poses);

/// World to scene for photographs: the cameras' mean up becomes +z, the centre of the points the origin
/// (their mean without the outer hundredth on either side of each axis; with fewer than ten points the
/// cameras' focus), and the nearest camera is at distance 1. `aabb_scale` becomes the smallest that holds all
/// cameras and 95 of 100 points, at most 32. Throws UserError that begins with `place` when a camera stands
/// at the centre.
Mat4d fit_photographs(const std::vector<Mat4d>& poses, const std::vector<Vec3d>& points,
                      const std::string& place, int& aabb_scale);

/// The smallest aabb_scale that holds all cameras and 95 of 100 places, at most 32.
int box_around(const std::vector<Mat4d>& poses, const std::vector<Vec3d>& places,
               const Mat4d& scene_from_world);

/// Checks that the cameras see the box of the scene, and repairs a scale that is only a guess (`is_scaled`
/// false):
///   images with transparency   fewer than 70 % of the pixels with something meet the box: the cameras' focus
///   goes to
///                              the origin, and the ball around it that holds what the pixels see fills the
///                              cube
///   other images               fewer than 25 % of all pixels meet the box, or the cameras' focus is certain
///   and lies
///                              outside of it: the focus goes to the origin and the nearest camera to
///                              distance 1; aabb_scale grows so that it holds all cameras, unless
///                              `aabb_is_given`
/// What was done goes to `notes`. Throws UserError when no camera sees the box and nothing can be done.
void check_box(PosedImages& images, bool is_scaled, bool aabb_is_given, float box_margin,
               std::vector<std::string>& notes);

}  // namespace t3d::data
