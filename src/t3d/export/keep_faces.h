#pragma once

#include "t3d/io/mesh.h"

namespace t3d::export_ {

/// Keeps the faces that is_kept(index) allows, in their order, with their materials. Vertices stay.
template <class IsKept>
void keep_faces(io::Mesh& mesh, const IsKept& is_kept) {
  size_t n = 0;
  for (size_t f = 0; f < mesh.faces.size(); ++f) {
    if (!is_kept(f)) continue;
    mesh.faces[n] = mesh.faces[f];
    if (!mesh.face_material.empty()) mesh.face_material[n] = mesh.face_material[f];
    ++n;
  }
  mesh.faces.resize(n);
  if (!mesh.face_material.empty()) mesh.face_material.resize(n);
}

}  // namespace t3d::export_
