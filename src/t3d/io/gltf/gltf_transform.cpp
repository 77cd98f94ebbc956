#include "t3d/io/gltf/gltf_transform.h"

namespace t3d::io::gltf {

Mat4d transform_of(const Vec3d& translation, const Eigen::Vector4d& rotation, const Vec3d& scale) {
  Eigen::Quaterniond turn(rotation.w(), rotation.x(), rotation.y(), rotation.z());
  if (turn.norm() > 0)
    turn.normalize();
  else
    turn.setIdentity();
  Mat4d out = Mat4d::Identity();
  out.block<3, 3>(0, 0) = turn.toRotationMatrix() * scale.asDiagonal();
  out.block<3, 1>(0, 3) = translation;
  return out;
}

Mat4d node_transform(const Value& node) {
  const Value matrix = node["matrix"];
  if (matrix.exists()) {
    const auto columns = matrix.numbers_or<16>(Eigen::Matrix<double, 16, 1>::Zero());
    Mat4d out;
    for (int i = 0; i < 16; ++i) out(i % 4, i / 4) = columns[i];
    return out;
  }
  return transform_of(node["translation"].numbers_or<3>(Vec3d::Zero()),
                      node["rotation"].numbers_or<4>(Eigen::Vector4d(0, 0, 0, 1)),
                      node["scale"].numbers_or<3>(Vec3d::Ones()));
}

}  // namespace t3d::io::gltf
