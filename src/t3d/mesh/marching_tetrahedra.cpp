#include "t3d/mesh/marching_tetrahedra.h"

#include <ATen/ATen.h>

#include "t3d/core/error.h"
#include "t3d/mesh/marching_tetrahedra_table.h"
#include "t3d/mesh/rows.h"

namespace t3d::mesh {
namespace {

/// [16,6] int64.
at::Tensor triangle_table(c10::Device device) {
  const at::Tensor table = at::empty({16, 6}, at::kLong);
  int64_t* to = table.data_ptr<int64_t>();
  for (const auto& row : kTetTriangles)
    for (const int8_t edge : row) *to++ = edge;
  return table.to(device);
}

/// [T] uint8: the case of each tetrahedron.
at::Tensor cases_of(const TetLattice& lattice, const at::Tensor& is_outside) {
  at::Tensor sum;
  for (int64_t i = 0; i < 4; ++i) {
    const at::Tensor bit = is_outside.index_select(0, lattice.corners.select(0, i)).mul_(1 << i);
    sum = i == 0 ? bit : sum.add_(bit);
  }
  return sum;
}

/// The faces of the tetrahedra `which` [M], n triangles each, as edges of the lattice: [M*n,3] int64.
at::Tensor faces_of(const TetLattice& lattice, const at::Tensor& cases, const at::Tensor& which, int64_t n) {
  const at::Tensor triangles = triangle_table(cases.device())
                                   .index_select(0, cases.index_select(0, which).to(at::kLong))
                                   .narrow(1, 0, 3 * n);  // [M,3n]
  return lattice.tet_edges.index_select(0, which).to(at::kLong).gather(1, triangles).reshape({-1, 3});
}

at::Tensor vertices_on(const TetLattice& lattice, const at::Tensor& crossed, const at::Tensor& level,
                       const at::Tensor& deformation) {
  at::Tensor positions = lattice.vertices.to(level.scalar_type());  // [N,3]
  if (deformation.defined()) positions = positions + deformation.tanh() / lattice.resolution;
  const at::Tensor values = level.reshape({-1, 1});
  const auto end = [&](int64_t i) {
    return lattice.ends.select(0, i).index_select(0, crossed).to(at::kLong);
  };
  const at::Tensor a = end(0), b = end(1);                                           // [C]
  const at::Tensor s_a = gather_rows(values, a), minus_b = -gather_rows(values, b);  // [C,1]
  const at::Tensor sum = s_a + minus_b;
  return gather_rows(positions, a) * (minus_b / sum) + gather_rows(positions, b) * (s_a / sum);
}

}  // namespace

SurfaceMesh marching_tetrahedra(const TetLattice& lattice, const at::Tensor& level,
                                const at::Tensor& deformation) {
  T3D_CHECK(level.numel() == lattice.n_vertices(), "level ", level.sizes(), " for a lattice of ",
            lattice.n_vertices(), " vertices");
  T3D_CHECK(!deformation.defined() || deformation.sizes() == lattice.vertices.sizes(), "deformation ",
            deformation.sizes(), " must be [N,3]");
  const at::Tensor is_outside = (level.detach().reshape({-1}) > 0).to(at::kByte);  // [N]
  const auto outside = [&](int64_t i) { return is_outside.index_select(0, lattice.ends.select(0, i)); };
  const at::Tensor crossed = (outside(0) != outside(1)).nonzero().squeeze(1);  // [C], edges
  // Only the entries of crossed edges are read.
  const at::Tensor vertex_of = at::empty({lattice.ends.size(1)}, crossed.options());  // [E]
  vertex_of.index_copy_(0, crossed, at::arange(crossed.size(0), crossed.options()));

  const at::Tensor cases = cases_of(lattice, is_outside);
  const at::Tensor table = triangle_table(cases.device());
  const at::Tensor n_triangles =
      (table.select(1, 0) >= 0).to(at::kByte) + (table.select(1, 3) >= 0).to(at::kByte);
  const at::Tensor n_of = n_triangles.index_select(0, cases.to(at::kInt));  // [T]
  at::Tensor faces = at::cat({faces_of(lattice, cases, (n_of == 1).nonzero().squeeze(1), 1),
                              faces_of(lattice, cases, (n_of == 2).nonzero().squeeze(1), 2)});
  faces = vertex_of.index_select(0, faces.reshape({-1})).reshape({-1, 3});
  return {vertices_on(lattice, crossed, level, deformation), faces};
}

}  // namespace t3d::mesh
