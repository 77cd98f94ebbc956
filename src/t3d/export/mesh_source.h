#pragma once

#include <memory>
#include <optional>

#include "t3d/export/field_surface.h"
#include "t3d/export/surface_maps.h"
#include "t3d/io/mesh.h"
#include "t3d/math/vec.h"

namespace t3d::export_ {

/// What a mesh file is made from: a field, which is cut, or a surface that is there already.
struct MeshSource {
  FieldSampler field;
  /// Taken instead of the field. Its texture coordinates are kept where it has some (`uvs`); normals are
  /// made where it has none.
  std::shared_ptr<const io::Mesh> surface;
  MapsOf maps;  ///< in the source's own coordinates; empty: no colours and no textures
  /// Takes the finished mesh to where it belongs: a rotation, a uniform scale and a shift.
  std::optional<Mat4f> world_from_source;
};

}  // namespace t3d::export_
