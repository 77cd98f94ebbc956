#include "t3d/export/decimate.h"

#include "t3d/export/mesh_edges.h"
#include "t3d/export/mesh_parts.h"
#if defined(T3D_HAS_MESHOPTIMIZER)
#include <meshoptimizer.h>
#endif

namespace t3d::export_ {

#if defined(T3D_HAS_MESHOPTIMIZER)

bool can_decimate() {
  return true;
}

namespace {

Faces simplified(const io::Mesh& mesh, const Faces& faces, size_t n_faces, float max_error,
                 unsigned int options) {
  Faces fewer(faces.size());
  const size_t n_indices = meshopt_simplify(fewer.data()->data(), faces.data()->data(), faces.size() * 3,
                                            mesh.positions.data()->data(), mesh.positions.size(),
                                            sizeof(Vec3f), n_faces * 3, max_error, options, nullptr);
  fewer.resize(n_indices / 3);
  return fewer;
}

/// Each material's faces by themselves, in proportion, with the borders between them left alone.
void decimate_materials(io::Mesh& mesh, size_t n_faces, float max_error) {
  std::vector<Faces> parts(mesh.materials.size());
  for (size_t f = 0; f < mesh.faces.size(); ++f) parts.at(mesh.face_material[f]).push_back(mesh.faces[f]);
  const double ratio = static_cast<double>(n_faces) / static_cast<double>(mesh.faces.size());
  mesh.faces.clear();
  mesh.face_material.clear();
  for (size_t m = 0; m < parts.size(); ++m) {
    if (parts[m].empty()) continue;
    const auto n = static_cast<size_t>(ratio * static_cast<double>(parts[m].size()));
    for (const auto& face : simplified(mesh, parts[m], n, max_error, meshopt_SimplifyLockBorder)) {
      mesh.faces.push_back(face);
      mesh.face_material.push_back(static_cast<uint16_t>(m));
    }
  }
}

}  // namespace

void decimate(io::Mesh& mesh, size_t n_faces, float max_error) {
  if (mesh.faces.size() <= n_faces) return;
  if (mesh.materials.size() > 1 && !mesh.face_material.empty()) {
    decimate_materials(mesh, n_faces, max_error);
  } else {
    Faces fewer = simplified(mesh, mesh.faces, n_faces, max_error, 0);
    if (fewer.empty()) return;
    mesh.faces = std::move(fewer);
    mesh.face_material.clear();
  }
  remove_small_parts(mesh, 0);  // vertices without faces
}

#else

bool can_decimate() {
  return false;
}

void decimate(io::Mesh&, size_t, float) {}

#endif

}  // namespace t3d::export_
