#include "t3d/mesh/tet_lattice.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "t3d/mesh/unique_pairs.h"

namespace t3d::mesh {
namespace {

/// [T] six times the volumes.
at::Tensor volumes(const TetLattice& lattice) {
  const at::Tensor p = lattice.vertices.to(at::kDouble);
  const auto corner = [&](int64_t i) { return p.index_select(0, lattice.corners[i]); };
  const at::Tensor a = corner(0);
  return (at::cross(corner(1) - a, corner(2) - a, 1) * (corner(3) - a)).sum(1);
}

TEST(TetLattice, HasAsManyVerticesAndTetrahedraAsTheShippedGrids) {
  for (const int64_t n : {1, 2, 3, 8, 16}) {
    const TetLattice lattice = make_tet_lattice(static_cast<int>(4 * n));
    EXPECT_EQ(lattice.n_vertices(), 8 * n * n * n + 15 * n * n - 3 * n + 2);
    EXPECT_EQ(lattice.corners.size(1), 46 * n * n * n + 18 * n * n - 34 * n + 12);
    EXPECT_EQ(lattice.resolution, 4 * n);
  }
}

TEST(TetLattice, FillsTheCubeWithTetrahedraOfOneOrientation) {
  for (const int resolution : {4, 7, 24}) {
    const TetLattice lattice = make_tet_lattice(resolution);
    EXPECT_EQ(lattice.resolution, resolution);
    const at::Tensor six_volumes = volumes(lattice);
    EXPECT_GT(six_volumes.min().item<double>(), 0);
    const double filled = six_volumes.sum().item<double>() / 6;
    EXPECT_LT(filled, 1);
    EXPECT_GT(filled, 1 - 6. / (resolution * resolution));  // the slivers along the edges
    EXPECT_EQ(lattice.vertices.min().item<float>(), 0);
    EXPECT_EQ(lattice.vertices.max().item<float>(), 1);
  }
}

TEST(TetLattice, EachInnerTriangleHasTwoTetrahedra) {
  const TetLattice lattice = make_tet_lattice(8);
  const int64_t n = lattice.n_vertices();
  const at::Tensor corners = lattice.corners.to(at::kLong);
  std::vector<at::Tensor> keys;
  for (int64_t without = 0; without < 4; ++without) {
    std::vector<at::Tensor> sides;
    for (int64_t i = 0; i < 4; ++i)
      if (i != without) sides.push_back(corners[i]);
    const at::Tensor sorted = std::get<0>(at::stack(sides, 1).sort(1));
    keys.push_back((sorted.select(1, 0) * n + sorted.select(1, 1)) * n + sorted.select(1, 2));
  }
  const auto [triangles, inverse, counts] = at::_unique2(at::cat(keys), true, false, true);
  EXPECT_EQ(counts.max().item<int64_t>(), 2);
  // The triangles of one tetrahedron are on the cube's surface, or at the slivers beside its edges.
  const at::Tensor outer = triangles.masked_select(counts == 1);
  const at::Tensor a = outer.div(n * n, "floor"), b = outer.div(n, "floor").remainder(n),
                   c = outer.remainder(n);
  const at::Tensor p = lattice.vertices;
  const at::Tensor centres = (p.index_select(0, a) + p.index_select(0, b) + p.index_select(0, c)) / 3;
  const at::Tensor from_face = at::minimum(centres, 1 - centres).amin(1);
  EXPECT_LT(from_face.max().item<float>(), 0.05f);
}

TEST(TetLattice, EdgesAreSortedAndThoseOfTheTetrahedra) {
  const TetLattice lattice = make_tet_lattice(8);
  const at::Tensor corners = lattice.corners.to(at::kLong);
  std::vector<at::Tensor> sides;
  for (const auto& [a, b] : std::vector<std::pair<int, int>>{{0, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 3}, {2, 3}})
    sides.push_back(at::stack({corners[a], corners[b]}, 1));
  const UniquePairs unique = unique_pairs(undirected(at::cat(sides)));
  EXPECT_TRUE(lattice.ends.t().to(at::kLong).equal(unique.pairs));
  EXPECT_TRUE(lattice.tet_edges.t().reshape({-1}).to(at::kLong).equal(unique.place));
}

}  // namespace
}  // namespace t3d::mesh
