#pragma once

#include <cstdint>
#include <vector>

#include "t3d/io/mesh.h"

namespace t3d::io {

/// Vertices at one place taken together, as formats without attributes see a mesh.
struct WeldedVertices {
  std::vector<uint32_t> number;  ///< of each vertex of the mesh: its place
  std::vector<uint32_t> first;   ///< of each place: the first vertex that is there
};

/// By equal coordinates; 0 and -0 are equal. Places come in the order of their first vertices.
WeldedVertices weld(const std::vector<Vec3f>& positions);

}  // namespace t3d::io
