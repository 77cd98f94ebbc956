#pragma once

#include "t3d/math/vec.h"

namespace t3d::export_ {

/// Twice the signed area of a, b, c, positive where they are counter-clockwise; exact for coordinates of one
/// size, since differences of floats have 25 bits.
inline double doubled_area(const Vec2f& a, const Vec2f& b, const Vec2f& c) {
  const Eigen::Vector2d p = b.cast<double>() - a.cast<double>(), q = c.cast<double>() - a.cast<double>();
  return p.x() * q.y() - p.y() * q.x();
}

}  // namespace t3d::export_
