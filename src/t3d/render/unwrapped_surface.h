#pragma once

#include "t3d/mesh/surface_mesh.h"

namespace t3d::render {

/// Texture coordinates for a surface that has none, from the atlas that an exporter would make
/// (export/uv_atlas.h): what tangents are found by. Kept as long as the surface's vertices are the same
/// tensor.
class UnwrappedSurface {
 public:
  /// The surface with its own texture coordinates, or with the atlas's. Cost of a new surface: seconds.
  mesh::SurfaceMesh operator()(const mesh::SurfaceMesh& surface);

 private:
  mesh::SurfaceMesh last_;
};

}  // namespace t3d::render
