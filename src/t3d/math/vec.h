#pragma once

#include <Eigen/Core>
#include <Eigen/Geometry>

namespace t3d {

using Vec2f = Eigen::Vector2f;
using Vec3f = Eigen::Vector3f;
using Vec4f = Eigen::Vector4f;
using Mat3f = Eigen::Matrix3f;
using Mat4f = Eigen::Matrix4f;
using Vec3d = Eigen::Vector3d;
using Mat4d = Eigen::Matrix4d;

/// Axis-aligned box.
struct Box3f {
  Vec3f min = Vec3f::Constant(-1.0f), max = Vec3f::Constant(1.0f);
  Vec3f size() const { return max - min; }
  Vec3f center() const { return 0.5f * (min + max); }
};

}  // namespace t3d
