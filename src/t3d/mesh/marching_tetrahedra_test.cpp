#include "t3d/mesh/marching_tetrahedra.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/support/gradient_error.h"

namespace t3d::mesh {
namespace {

using testing::fixed_factors;
using testing::gradient_error;

/// The distance [N] to a sphere in the middle of the cube.
at::Tensor sphere(const TetLattice& lattice, double radius, at::ScalarType type = at::kFloat) {
  return (lattice.vertices.to(type) - 0.5).norm(2, at::IntArrayRef{1}) - radius;
}

/// Six times the volume that a closed mesh encloses.
double six_volumes(const SurfaceMesh& mesh) {
  return (face_normals(mesh) * face_corners(mesh).select(1, 0)).sum().item<double>();
}

TEST(MarchingTetrahedra, ASphereIsClosedAndTurnedOutwards) {
  const TetLattice lattice = make_tet_lattice(32);
  const SurfaceMesh mesh = marching_tetrahedra(lattice, sphere(lattice, 0.3));
  // Euler: V - E + F = 2, and every edge has two faces.
  EXPECT_EQ(2 * unique_edges(mesh.faces).size(0), 3 * mesh.faces.size(0));
  EXPECT_EQ(mesh.vertices.size(0) - mesh.faces.size(0) / 2, 2);
  EXPECT_NEAR(six_volumes(mesh), 6 * 4 / 3. * M_PI * 0.027, 0.02);
  const at::Tensor outwards = (mesh.vertices - 0.5) / 0.3;
  EXPECT_GT((vertex_normals(mesh) * outwards).sum(1).min().item<float>(), 0.9f);
  EXPECT_LT(((mesh.vertices - 0.5).norm(2, at::IntArrayRef{1}) - 0.3).abs().max().item<float>(), 2e-3f);
}

TEST(MarchingTetrahedra, NothingComesOfOneSign) {
  const TetLattice lattice = make_tet_lattice(8);
  for (const double value : {-1., 0., 1.}) {
    const SurfaceMesh mesh = marching_tetrahedra(lattice, at::full({lattice.n_vertices(), 1}, value));
    EXPECT_EQ(mesh.vertices.size(0), 0);
    EXPECT_EQ(mesh.faces.size(0), 0);
  }
}

TEST(MarchingTetrahedra, ASurfaceThatLeavesTheCubeIsOpenThere) {
  const TetLattice lattice = make_tet_lattice(16);
  const SurfaceMesh mesh = marching_tetrahedra(lattice, lattice.vertices.select(1, 2) - 0.4);
  EXPECT_LT((mesh.vertices.select(1, 2) - 0.4).abs().max().item<float>(), 1e-6f);
  EXPECT_GT(face_normals(mesh).select(1, 2).min().item<float>(), 0);
  EXPECT_NEAR(face_normals(mesh).select(1, 2).sum().item<float>(), 2, 0.005f);  // slivers
}

TEST(MarchingTetrahedra, DeformationMovesVerticesByLessThanOneCell) {
  const TetLattice lattice = make_tet_lattice(16);
  const at::Tensor level = sphere(lattice, 0.3);
  const at::Tensor still = marching_tetrahedra(lattice, level).vertices;
  const at::Tensor moved =
      marching_tetrahedra(lattice, level, at::full({lattice.n_vertices(), 3}, 50.f)).vertices;
  EXPECT_LT((moved - still - 1 / 16.).abs().max().item<float>(), 1e-6f);
}

TEST(MarchingTetrahedra, GradientsMatchFiniteDifferences) {
  const TetLattice lattice = make_tet_lattice(4);
  const at::Tensor level = sphere(lattice, 0.33, at::kDouble);
  const at::Tensor deformation = fixed_factors(at::empty({lattice.n_vertices(), 3}, at::kDouble));
  const auto loss = [&](const at::Tensor& values, const at::Tensor& offsets) {
    const SurfaceMesh mesh = marching_tetrahedra(lattice, values, offsets);
    return (mesh.vertices * fixed_factors(mesh.vertices)).sum() + laplacian_smoothness(mesh);
  };
  ASSERT_GT(marching_tetrahedra(lattice, level).faces.size(0), 20);
  EXPECT_LT(gradient_error([&](const at::Tensor& x) { return loss(x, deformation); }, level, 1e-7), 1e-6);
  EXPECT_LT(gradient_error([&](const at::Tensor& x) { return loss(level, x); }, deformation), 1e-7);
}

TEST(MarchingTetrahedra, TheSameComesOutEachTime) {
  const TetLattice lattice = make_tet_lattice(16);
  const at::Tensor level = sphere(lattice, 0.4);
  const SurfaceMesh one = marching_tetrahedra(lattice, level), two = marching_tetrahedra(lattice, level);
  EXPECT_TRUE(one.vertices.equal(two.vertices));
  EXPECT_TRUE(one.faces.equal(two.faces));
}

}  // namespace
}  // namespace t3d::mesh
