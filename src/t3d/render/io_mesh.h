#pragma once

#include "t3d/io/mesh.h"
#include "t3d/mesh/surface_mesh.h"

namespace t3d::render {

/// A surface as files and exporters have it: positions and faces, without a graph. With texture coordinates,
/// vertices on seams are doubled; the order of faces stays.
io::Mesh io_mesh(const mesh::SurfaceMesh& surface);

}  // namespace t3d::render
