#include "t3d/mesh/surface_mesh.h"

#include <ATen/ATen.h>

#include "t3d/core/error.h"
#include "t3d/mesh/rows.h"
#include "t3d/mesh/unique_pairs.h"

namespace t3d::mesh {

at::Tensor face_corners(const SurfaceMesh& mesh) {
  T3D_CHECK(mesh.vertices.dim() == 2 && mesh.vertices.size(1) == 3, "vertices must be [V,3], not ",
            mesh.vertices.sizes());
  T3D_CHECK(mesh.faces.dim() == 2 && mesh.faces.size(1) == 3 && mesh.faces.scalar_type() == at::kLong,
            "faces must be [F,3] int64, not ", mesh.faces.sizes());
  return gather_rows(mesh.vertices, mesh.faces.reshape({-1})).reshape({-1, 3, 3});
}

at::Tensor unique_edges(const at::Tensor& faces) {
  const auto along = [&](int64_t from, int64_t to) {
    return at::stack({faces.select(1, from), faces.select(1, to)}, 1);  // [F,2]
  };
  return unique_pairs(undirected(at::cat({along(0, 1), along(1, 2), along(2, 0)}))).pairs;
}

at::Tensor normal_consistency(const SurfaceMesh& mesh) {
  const at::Tensor edges = unique_edges(mesh.faces);  // [E,2]
  if (edges.size(0) == 0) return at::zeros({}, mesh.vertices.options());
  const at::Tensor normals = vertex_normals(mesh);
  const at::Tensor cosines =
      (gather_rows(normals, edges.select(1, 0)) * gather_rows(normals, edges.select(1, 1))).sum(1);  // [E]
  return (1 - cosines).mean();
}

at::Tensor laplacian_smoothness(const SurfaceMesh& mesh) {
  const int64_t n = mesh.vertices.size(0);
  if (n == 0) return at::zeros({}, mesh.vertices.options());
  const at::Tensor edges = unique_edges(mesh.faces);
  const at::Tensor a = edges.select(1, 0), b = edges.select(1, 1);
  const at::Tensor along = gather_rows(mesh.vertices, a) - gather_rows(mesh.vertices, b);  // [E,3]
  return (sum_rows(along, a, n) - sum_rows(along, b, n)).norm(2, at::IntArrayRef{1}).mean();
}

}  // namespace t3d::mesh
