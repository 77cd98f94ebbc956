#pragma once

#include "t3d/io/mesh.h"

namespace t3d::io {

/// Fills in normals of zero length. A corner's normal is the sum of the normals, weighted by area, of those
/// faces at its position that are at most `angle_deg` from its own face: curved surfaces become smooth and
/// edges stay sharp, also across the seams of texture coordinates. A mesh that lacks none is left alone;
/// otherwise vertices are split where their corners differ, and equal ones are joined.
void make_missing_normals(Mesh& mesh, float angle_deg = 60.0f);

/// Joins vertices that are equal in every attribute, and drops those that no face uses.
void join_equal_vertices(Mesh& mesh);

}  // namespace t3d::io
