#pragma once

#include <vector>

#include "t3d/io/mesh.h"

namespace t3d::io {

/// For each vertex of a mesh with normals, by texture coordinates of its vertices: the direction in which u grows, a unit
/// vector at right angles to the normal (mean over its faces, weighted by their angles there), and in w the
/// sense of the bitangent, so that cross(normal, tangent) w is where v grows. As in Mikkelsen 2008,
/// Simulation of Wrinkled Surfaces Revisited, for vertices that are split where tangents part.
std::vector<Vec4f> vertex_tangents(const Mesh& mesh, const std::vector<Vec2f>& uvs);

}  // namespace t3d::io
