#include <ATen/ATen.h>

#include "t3d/core/error.h"
#include "t3d/mesh/rows.h"
#include "t3d/mesh/surface_mesh.h"
#include "t3d/ops/unit_rows.h"

namespace t3d::mesh {
namespace {

constexpr double kLeastSquare = 1e-20, kLeastArea = 1e-6;

/// Values [F,3] of faces, summed at their vertices: [V,3].
at::Tensor summed_at_vertices(const at::Tensor& values, const SurfaceMesh& mesh) {
  const at::Tensor at_corners = values.unsqueeze(1).expand({-1, 3, -1}).reshape({-1, values.size(1)});
  return sum_rows(at_corners, mesh.faces.reshape({-1}), mesh.vertices.size(0));
}

/// Unit rows; `instead` [3], without a gradient, for rows of no length.
at::Tensor unit_rows_or(const at::Tensor& rows, const at::Tensor& instead) {
  const at::Tensor has_length = rows.detach().square().sum(1, true) > kLeastSquare;  // [N,1]
  return ops::unit_rows(at::where(has_length, rows, instead));
}

}  // namespace

at::Tensor face_normals(const SurfaceMesh& mesh) {
  const at::Tensor corners = face_corners(mesh);  // [F,3,3]
  const at::Tensor a = corners.select(1, 0);
  return at::cross(corners.select(1, 1) - a, corners.select(1, 2) - a, 1);
}

at::Tensor vertex_normals(const SurfaceMesh& mesh) {
  return unit_rows_or(summed_at_vertices(face_normals(mesh), mesh),
                      at::tensor({0, 0, 1}, mesh.vertices.options()));
}

at::Tensor vertex_tangents(const SurfaceMesh& mesh, const at::Tensor& normals) {
  T3D_CHECK(mesh.uv.defined() && mesh.uv_faces.sizes() == mesh.faces.sizes(),
            "tangents of a mesh without texture coordinates");
  const at::Tensor corners = face_corners(mesh);                                                   // [F,3,3]
  const at::Tensor uv = mesh.uv.index_select(0, mesh.uv_faces.reshape({-1})).reshape({-1, 3, 2});  // [F,3,2]
  const auto edge = [](const at::Tensor& of, int64_t to) { return of.select(1, to) - of.select(1, 0); };
  const at::Tensor e1 = edge(corners, 1), e2 = edge(corners, 2);                        // [F,3]
  const auto d1 = edge(uv.detach(), 1).unbind(1), d2 = edge(uv.detach(), 2).unbind(1);  // u and v, [F]
  const at::Tensor area = (d1[0] * d2[1] - d1[1] * d2[0]).unsqueeze(1);                 // [F,1]
  const at::Tensor divisor =
      at::where(area > 0, area.clamp_min(kLeastArea), area.clamp_max(-kLeastArea)).to(e1.scalar_type());
  const at::Tensor tangents = (e1 * d2[1].unsqueeze(1) - e2 * d1[1].unsqueeze(1)) / divisor;  // [F,3]
  const at::Tensor n_faces = summed_at_vertices(at::ones_like(area), mesh).clamp_min(1);      // [V,1]
  const at::Tensor zero = at::zeros({3}, e1.options());
  const at::Tensor mean = unit_rows_or(summed_at_vertices(tangents, mesh) / n_faces, zero);
  return unit_rows_or(mean - (mean * normals).sum(1, true) * normals, zero);
}

at::Tensor vertex_tangents(const SurfaceMesh& mesh) {
  return vertex_tangents(mesh, vertex_normals(mesh));
}

}  // namespace t3d::mesh
