#include "t3d/math/camera.h"

#include <cmath>

namespace t3d {
namespace {

constexpr float kRadians = 0.017453292519943295f;

/// Distorted coordinates, and their Jacobian when asked for.
Eigen::Vector2d apply_distortion(const Lens& lens, double x, double y, Eigen::Matrix2d* jacobian) {
  const double x2 = x * x, y2 = y * y, xy = x * y, r2 = x2 + y2;
  const double above = 1 + r2 * (lens.k1 + r2 * (lens.k2 + r2 * (lens.k3 + r2 * lens.k4)));
  const double below = 1 + r2 * (lens.d1 + r2 * (lens.d2 + r2 * lens.d3));
  const double radial = above / below;
  if (jacobian != nullptr) {
    // d radial / d r2
    const double above_slope = lens.k1 + r2 * (2 * lens.k2 + r2 * (3 * lens.k3 + r2 * 4 * lens.k4));
    const double below_slope = lens.d1 + r2 * (2 * lens.d2 + r2 * 3 * lens.d3);
    const double slope = (above_slope - radial * below_slope) / below;
    (*jacobian)(0, 0) = radial + 2 * x2 * slope + 2 * lens.p1 * y + 6 * lens.p2 * x;
    (*jacobian)(0, 1) = 2 * xy * slope + 2 * lens.p1 * x + 2 * lens.p2 * y;
    (*jacobian)(1, 0) = (*jacobian)(0, 1);
    (*jacobian)(1, 1) = radial + 2 * y2 * slope + 6 * lens.p1 * y + 2 * lens.p2 * x;
  }
  return {x * radial + 2 * lens.p1 * xy + lens.p2 * (r2 + 2 * x2),
          y * radial + lens.p1 * (r2 + 2 * y2) + 2 * lens.p2 * xy};
}

}  // namespace

Lens Lens::from_fov_x(int width, int height, float fov_x) {
  Lens lens;
  lens.width = width;
  lens.height = height;
  lens.fx = lens.fy = 0.5f * static_cast<float>(width) / std::tan(0.5f * fov_x);
  lens.cx = 0.5f * static_cast<float>(width);
  lens.cy = 0.5f * static_cast<float>(height);
  return lens;
}

Vec2f Lens::undistort(float u, float v) const {
  const Eigen::Vector2d target((u - cx) / fx, (v - cy) / fy);
  if (!has_distortion()) return target.cast<float>();
  Eigen::Vector2d p = target;
  for (int i = 0; i < 20; ++i) {
    Eigen::Matrix2d jacobian;
    const Eigen::Vector2d error = apply_distortion(*this, p.x(), p.y(), &jacobian) - target;
    const double determinant = jacobian.determinant();
    if (std::abs(determinant) < 1e-12) break;
    p -= Eigen::Vector2d(jacobian(1, 1) * error.x() - jacobian(0, 1) * error.y(),
                         jacobian(0, 0) * error.y() - jacobian(1, 0) * error.x()) /
         determinant;
    if (error.squaredNorm() < 1e-18) break;
  }
  return p.cast<float>();
}

Vec2f Lens::distort(float x, float y) const {
  if (!has_distortion()) return {fx * x + cx, fy * y + cy};
  const Eigen::Vector2d p = apply_distortion(*this, x, y, nullptr);
  return {static_cast<float>(p.x() * fx + cx), static_cast<float>(p.y() * fy + cy)};
}

Vec3f Lens::direction(float u, float v) const {
  const Vec2f p = undistort(u, v);
  if (!is_fisheye) return {p.x(), p.y(), 1.0f};
  const float angle = p.norm(), across = angle > 1e-6f ? std::sin(angle) / angle : 1.0f;
  return {across * p.x(), across * p.y(), std::cos(angle)};
}

Vec2f Lens::project(const Vec3f& point) const {
  if (!is_fisheye) return distort(point.x() / point.z(), point.y() / point.z());
  const float across = std::hypot(point.x(), point.y()), angle = std::atan2(across, point.z());
  const float stretch = across > 1e-9f ? angle / across : 0.0f;
  return distort(stretch * point.x(), stretch * point.y());
}

float Lens::largest_angle() const {
  constexpr float kPi = 3.14159265f, kStep = 0.002f;
  if (!is_fisheye) return kPi;
  // The image of the angle along x, without the tangential part, which is small.
  Lens radial = *this;
  radial.p1 = radial.p2 = 0;
  double before = 0;
  for (float angle = kStep; angle < kPi; angle += kStep) {
    const double image = apply_distortion(radial, angle, 0, nullptr).x();
    if (!(image > before)) return angle - kStep;
    before = image;
  }
  return kPi;
}

Ray Camera::ray(float u, float v) const {
  const Vec3f p = lens.direction(u, v);
  const Vec3f direction = camera_to_world.block<3, 3>(0, 0) * Vec3f(p.x(), -p.y(), -p.z());
  return {position(), direction.normalized()};
}

Mat4f look_at(const Vec3f& position, const Vec3f& target, const Vec3f& up) {
  const Vec3f forward = (target - position).normalized();
  Vec3f right = forward.cross(up);
  if (right.squaredNorm() < 1e-10f) right = forward.cross(Vec3f::UnitY());
  if (right.squaredNorm() < 1e-10f) right = forward.cross(Vec3f::UnitX());
  right.normalize();
  Mat4f m = Mat4f::Identity();
  m.block<3, 1>(0, 0) = right;
  m.block<3, 1>(0, 1) = right.cross(forward);
  m.block<3, 1>(0, 2) = -forward;
  m.block<3, 1>(0, 3) = position;
  return m;
}

Vec3f spherical_position(float azimuth_deg, float elevation_deg, float distance) {
  const float azimuth = azimuth_deg * kRadians, elevation = elevation_deg * kRadians;
  return distance * Vec3f(std::cos(elevation) * std::cos(azimuth), std::cos(elevation) * std::sin(azimuth),
                          std::sin(elevation));
}

}  // namespace t3d
