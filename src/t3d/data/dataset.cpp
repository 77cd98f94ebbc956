#include "t3d/data/dataset.h"

#include <Eigen/LU>
#include <Eigen/SVD>
#include <cctype>
#include <cmath>

#include "t3d/core/error.h"

namespace t3d::data {

Mat4d checked_pose(const Mat4d& matrix, const std::string& place) {
  if (!matrix.allFinite())
    throw UserError(
        cat(place, ": the camera matrix holds a number that is not finite. Export the cameras again."));
  if ((matrix.row(3) - Eigen::RowVector4d(0, 0, 0, 1)).cwiseAbs().maxCoeff() > 1e-4)
    throw UserError(cat(place, ": the camera matrix's last row is ", matrix.row(3),
                        " where 0 0 0 1 was expected; "
                        "it must map the camera to the world, one row after the other."));
  const Eigen::Matrix3d m = matrix.block<3, 3>(0, 0);
  const Eigen::JacobiSVD<Eigen::Matrix3d> svd(m, Eigen::ComputeFullU | Eigen::ComputeFullV);
  const Vec3d s = svd.singularValues();
  if (!(s[2] > 1e-6 * s[0]) || !(s[0] > 1e-12))
    throw UserError(
        cat(place, ": the camera matrix is singular (its axes lie in a plane). Export the cameras again."));
  if (s[0] > 1.02 * s[2])
    throw UserError(
        cat(place, ": the camera matrix stretches space (", s[0], " one way, ", s[2],
            " another) where a rotation was expected. Apply the camera's scale before exporting."));
  if (m.determinant() < 0)
    throw UserError(cat(place, ": the camera matrix mirrors space (determinant ", m.determinant(),
                        "); negate one axis of the camera."));
  if (matrix.block<3, 1>(0, 3).cwiseAbs().maxCoeff() > 1e9)
    throw UserError(
        cat(place, ": the camera stands more than 1e9 units from the origin. Centre the scene first."));
  Mat4d out = Mat4d::Identity();
  out.block<3, 3>(0, 0) = svd.matrixU() * svd.matrixV().transpose();
  out.block<3, 1>(0, 3) = matrix.block<3, 1>(0, 3);
  return out;
}

Mat4d flip_camera_axes(const Mat4d& camera_to_world) {
  Mat4d out = camera_to_world;
  out.col(1) = -out.col(1);
  out.col(2) = -out.col(2);
  return out;
}

void check_file_name(const std::string& name, const std::string& place) {
  if (name.empty() || name.find('\0') != std::string::npos)
    throw UserError(cat(place, ": the image's file name is empty or holds a zero byte. Name the image."));
}

bool natural_less(const std::string& a, const std::string& b) {
  const auto is_digit = [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; };
  size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (is_digit(a[i]) && is_digit(b[j])) {
      while (i < a.size() && a[i] == '0') ++i;
      while (j < b.size() && b[j] == '0') ++j;
      size_t ni = i, nj = j;
      while (ni < a.size() && is_digit(a[ni])) ++ni;
      while (nj < b.size() && is_digit(b[nj])) ++nj;
      if (ni - i != nj - j) return ni - i < nj - j;
      const int order = a.compare(i, ni - i, b, j, nj - j);
      if (order != 0) return order < 0;
      i = ni, j = nj;
    } else {
      if (a[i] != b[j]) return a[i] < b[j];
      ++i, ++j;
    }
  }
  if ((i == a.size()) != (j == b.size())) return i == a.size();
  return a < b;  // "01" and "1": any fixed order
}

Mat4d fit_box(const Vec3d& min, const Vec3d& max, double margin) {
  const double scale = 1.0 / ((max - min).maxCoeff() * margin);
  Mat4d out = Mat4d::Identity();
  out.block<3, 3>(0, 0) *= scale;
  out.block<3, 1>(0, 3) = -scale * 0.5 * (min + max);
  return out;
}

int checked_aabb_scale(double value, const std::string& place) {
  for (int power = 1; power <= 128; power *= 2)
    if (value == power) return power;
  throw UserError(cat(place, ": aabb_scale is ", value, " where a power of two from 1 to 128 was expected."));
}

}  // namespace t3d::data
