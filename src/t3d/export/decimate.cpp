#include "t3d/export/decimate.h"

#include "t3d/export/mesh_parts.h"
#if defined(T3D_HAS_MESHOPTIMIZER)
#include <meshoptimizer.h>
#endif

namespace t3d::export_ {

#if defined(T3D_HAS_MESHOPTIMIZER)

bool can_decimate() {
  return true;
}

void decimate(io::Mesh& mesh, size_t n_faces, float max_error) {
  if (mesh.faces.size() <= n_faces) return;
  std::vector<std::array<uint32_t, 3>> fewer(mesh.faces.size());
  const size_t n_indices = meshopt_simplify(
      fewer.data()->data(), mesh.faces.data()->data(), mesh.faces.size() * 3, mesh.positions.data()->data(),
      mesh.positions.size(), sizeof(Vec3f), n_faces * 3, max_error, 0, nullptr);
  if (n_indices == 0) return;
  fewer.resize(n_indices / 3);
  mesh.faces = std::move(fewer);
  mesh.face_material.clear();
  remove_small_parts(mesh, 0);  // vertices without faces
}

#else

bool can_decimate() {
  return false;
}

void decimate(io::Mesh&, size_t, float) {}

#endif

}  // namespace t3d::export_
