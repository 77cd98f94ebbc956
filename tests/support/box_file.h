#pragma once

#include <fstream>
#include <string>

#include "t3d/math/vec.h"

namespace t3d::testing {

/// An OBJ of a closed box, faces outwards.
inline void write_box_file(const std::string& path, const Vec3f& low, const Vec3f& high) {
  std::ofstream out(path);
  for (const float x : {low.x(), high.x()})
    for (const float y : {low.y(), high.y()})
      for (const float z : {low.z(), high.z()}) out << "v " << x << " " << y << " " << z << "\n";
  out << "f 1 2 4 3\nf 5 7 8 6\nf 1 5 6 2\nf 3 4 8 7\nf 1 3 7 5\nf 2 6 8 4\n";
}

}  // namespace t3d::testing
