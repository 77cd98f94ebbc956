#pragma once

#include <string>

#include "t3d/io/mesh.h"

namespace t3d::io {

/// A binary STL as bytes: the header's 80 bytes, the number of triangles, and for each its normal, its
/// corners and two bytes that mean nothing. Axes as in the mesh. Throws UserError above 2^32 - 1 triangles.
std::string stl_bytes(const Mesh& mesh, const std::string& path);

}  // namespace t3d::io
