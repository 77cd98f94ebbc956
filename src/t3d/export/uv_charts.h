#pragma once

#include <cstdint>
#include <vector>

#include "t3d/io/mesh.h"

namespace t3d::export_ {

/// A piece of surface and the plane that it projects onto.
struct Chart {
  Vec3f axis, right, up;         ///< orthonormal, right x up = axis
  Vec2f origin = Vec2f::Zero();  ///< a point of the chart in its plane
  std::vector<uint32_t> faces;
};

/// Every face in one chart; no two faces of a chart cover each other in its plane, and none lies upside down.
std::vector<Chart> make_charts(const io::Mesh& mesh, float least_cosine);

}  // namespace t3d::export_
