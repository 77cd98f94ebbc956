#pragma once

#include "t3d/math/vec.h"

namespace t3d {

/// Lens of a camera with OpenCV's distortion, in pixels. Pixel (0,0)'s centre is at (0.5, 0.5). Coordinates
/// before the distortion are (x,y), y growing downwards:
///   perspective  (x,y) = (X/Z, Y/Z) of a point (X,Y,Z) in the camera's axes right, down, forward
///   fisheye      (x,y) = theta (X,Y) / |(X,Y)|, theta being the angle to the optical axis
/// With r2 = x2+y2 and
///   radial = (1 + k1 r2 + k2 r4 + k3 r6 + k4 r8) / (1 + d1 r2 + d2 r4 + d3 r6)
/// they go to
///   x' = x radial + 2 p1 x y + p2 (r2 + 2 x2)      u = fx x' + cx
///   y' = y radial + p1 (r2 + 2 y2) + 2 p2 x y      v = fy y' + cy
/// (d1, d2, d3 are OpenCV's k4, k5, k6; its fisheye lens has k1 to k4.)
struct Lens {
  int width = 0, height = 0;
  float fx = 0, fy = 0, cx = 0, cy = 0;
  float k1 = 0, k2 = 0, k3 = 0, p1 = 0, p2 = 0;
  float k4 = 0, d1 = 0, d2 = 0, d3 = 0;
  bool is_fisheye = false;

  bool has_distortion() const {
    return k1 != 0 || k2 != 0 || k3 != 0 || p1 != 0 || p2 != 0 || k4 != 0 || d1 != 0 || d2 != 0 || d3 != 0;
  }

  /// Lens of a camera without distortion, principal point at the centre, horizontal field of view in radians.
  static Lens from_fov_x(int width, int height, float fov_x);

  /// Coordinates (x,y) that the lens maps onto pixel position (u,v): the inverse of the distortion, by
  /// Newton's method (at most 20 iterations). Exact to 1e-6 within the fold of the lens.
  Vec2f undistort(float u, float v) const;

  /// Pixel position of coordinates (x,y).
  Vec2f distort(float x, float y) const;

  /// Direction that is seen at pixel position (u,v), in the camera's axes right, down, forward; not
  /// normalized.
  Vec3f direction(float u, float v) const;

  /// Pixel position of a point in the camera's axes right, down, forward. A perspective lens needs Z > 0.
  Vec2f project(const Vec3f& point) const;

  /// Angle to the optical axis up to which a fisheye lens maps rays outwards, at most pi. What lies beyond it
  /// in an image is no picture of the scene. pi for a perspective lens.
  float largest_angle() const;
};

/// A ray: origin, unit direction.
struct Ray {
  Vec3f origin, direction;
};

/// A posed camera. World: right-handed, z up. Camera: x right, y up, looks along -z (OpenGL's axes);
/// camera_to_world = [right | up | backward | position].
struct Camera {
  Lens lens;
  Mat4f camera_to_world = Mat4f::Identity();

  Vec3f position() const { return camera_to_world.block<3, 1>(0, 3); }
  /// Ray through pixel position (u,v), v growing downwards; the first pixel's centre is (0.5, 0.5).
  Ray ray(float u, float v) const;
};

/// The camera-to-world matrix of a camera at `position` that looks at `target`, `up` being roughly up.
/// When the view direction is parallel to `up`, another up vector is taken.
Mat4f look_at(const Vec3f& position, const Vec3f& target, const Vec3f& up = Vec3f::UnitZ());

/// Position on a sphere: azimuth 0 is +x and grows towards +y, elevation +90 is +z. Degrees.
Vec3f spherical_position(float azimuth_deg, float elevation_deg, float distance);

}  // namespace t3d
