#pragma once

#include <cstdint>
#include <vector>

#include "t3d/io/mesh.h"

namespace t3d::export_ {

/// A piece of surface and the plane that it projects onto.
struct Chart {
  Vec3f axis, right, up;  ///< orthonormal, right x up = axis
  std::vector<uint32_t> faces;
};

/// Every face in one chart. `cell`: width of a texel in the mesh's units, the scale at which folds are looked
/// for.
std::vector<Chart> make_charts(const io::Mesh& mesh, float least_cosine, float cell);

}  // namespace t3d::export_
