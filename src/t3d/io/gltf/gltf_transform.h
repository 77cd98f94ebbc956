#pragma once

#include "t3d/io/gltf/gltf_value.h"

namespace t3d::io::gltf {

/// Scaled, then turned by the quaternion (x, y, z, w), which need not have length 1, then moved.
Mat4d transform_of(const Vec3d& translation, const Eigen::Vector4d& rotation, const Vec3d& scale);

/// A node's `matrix`, or its translation, rotation and scale.
Mat4d node_transform(const Value& node);

}  // namespace t3d::io::gltf
