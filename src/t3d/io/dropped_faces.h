#pragma once

#include <cstdint>
#include <string>

#include "t3d/core/text.h"
#include "t3d/math/vec.h"

namespace t3d::io {

/// Faces that no reader keeps: those with a vertex that is not finite, and those without area.
class DroppedFaces {
 public:
  /// Whether the face with these corners is to be left out; counts it.
  bool drops(const Vec3f& a, const Vec3f& b, const Vec3f& c) {
    if (!a.allFinite() || !b.allFinite() || !c.allFinite()) return ++n_not_finite_, true;
    if (!((b - a).cross(c - a).squaredNorm() > 0)) return ++n_without_area_, true;
    return false;
  }

  /// "2 faces with a vertex that is not finite, 1 face without area"; empty when all faces are good.
  std::string text() const {
    std::string text;
    const auto add = [&](int64_t n, const char* what) {
      if (n > 0) text += cat(text.empty() ? "" : ", ", n, n == 1 ? " face " : " faces ", what);
    };
    add(n_not_finite_, "with a vertex that is not finite");
    add(n_without_area_, "without area");
    return text;
  }

 private:
  int64_t n_not_finite_ = 0, n_without_area_ = 0;
};

}  // namespace t3d::io
