#include "t3d/export/marching_cubes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "t3d/export/density_threshold.h"
#include "t3d/export/marching_cubes_table.h"

namespace t3d::export_ {
namespace {

using Field = std::function<float(const Vec3f&)>;

io::Mesh extract(const Field& field, int n, MarchingCubesOptions options = {}) {
  const SampleGrid grid = SampleGrid::over_box({Vec3f::Constant(-1), Vec3f::Constant(1)}, n);
  return marching_cubes(
      grid,
      [&](int k, float* values) {
        for (int j = 0; j < n; ++j)
          for (int i = 0; i < n; ++i)
            values[j * n + i] =
                field(grid.origin + Vec3f(static_cast<float>(i), static_cast<float>(j), static_cast<float>(k))
                                        .cwiseProduct(grid.spacing));
      },
      options);
}

/// Every edge is used once in each direction.
::testing::AssertionResult is_closed(const io::Mesh& mesh) {
  std::map<std::pair<uint32_t, uint32_t>, int> edges;
  for (const auto& f : mesh.faces)
    for (int c = 0; c < 3; ++c) ++edges[{f[c], f[(c + 1) % 3]}];
  for (const auto& [edge, count] : edges) {
    if (count != 1)
      return ::testing::AssertionFailure()
             << "edge " << edge.first << "-" << edge.second << " is used " << count << " times one way";
    if (edges.count({edge.second, edge.first}) == 0)
      return ::testing::AssertionFailure() << "edge " << edge.first << "-" << edge.second << " has one face";
  }
  return ::testing::AssertionSuccess();
}

double volume(const io::Mesh& mesh) {
  double sum = 0;
  for (const auto& f : mesh.faces)
    sum += mesh.positions[f[0]].cross(mesh.positions[f[1]]).dot(mesh.positions[f[2]]) / 6.0;
  return sum;
}

int euler_characteristic(const io::Mesh& mesh) {
  return static_cast<int>(mesh.positions.size()) - static_cast<int>(mesh.faces.size() / 2);
}

float ball(const Vec3f& p) {
  return 0.7f - p.norm();
}
float torus(const Vec3f& p) {
  return 0.25f - std::hypot(std::hypot(p.x(), p.y()) - 0.6f, p.z());
}

/// Noise of corner values: every one of the 256 cases, and every pair of neighbours.
float noise(const Vec3f& p) {
  const auto q =
      static_cast<uint32_t>(std::lround(p.x() * 1000) * 73856093 ^ std::lround(p.y() * 1000) * 19349663 ^
                            std::lround(p.z() * 1000) * 83492791);
  return static_cast<float>((q * 2654435761u) >> 8) / 16777216.0f - 0.5f;
}

TEST(MarchingCubesTable, NoDiagonalLiesInAFace) {
  EXPECT_EQ(marching_cubes_table().n_unavoidable, 0);
}

TEST(MarchingCubes, BallHasItsVolumeAndItsNormals) {
  const io::Mesh mesh = extract(ball, 48);
  EXPECT_TRUE(is_closed(mesh));
  EXPECT_EQ(euler_characteristic(mesh), 2);
  EXPECT_NEAR(volume(mesh), 4.0 / 3 * 3.14159265 * 0.343, 0.01);
  for (size_t v = 0; v < mesh.positions.size(); ++v) {
    EXPECT_NEAR(mesh.positions[v].norm(), 0.7f, 2e-3f);
    EXPECT_GT(mesh.normals[v].dot(mesh.positions[v].normalized()), 0.99f);
  }
}

TEST(MarchingCubes, TorusHasOneHole) {
  const io::Mesh mesh = extract(torus, 40);
  EXPECT_TRUE(is_closed(mesh));
  EXPECT_EQ(euler_characteristic(mesh), 0);
}

TEST(MarchingCubes, NoiseIsClosed) {
  const io::Mesh mesh = extract(noise, 24);
  EXPECT_GT(mesh.faces.size(), 10000u);
  EXPECT_TRUE(is_closed(mesh));
}

TEST(MarchingCubes, ValuesOnTheThresholdLeaveNoFaceWithoutArea) {
  const io::Mesh mesh =
      extract([](const Vec3f& p) { return std::round(4 * (0.6f - p.lpNorm<1>())) / 4; }, 17);
  EXPECT_TRUE(is_closed(mesh));
  for (const auto& f : mesh.faces) {
    const Vec3f a = mesh.positions[f[0]], b = mesh.positions[f[1]], c = mesh.positions[f[2]];
    EXPECT_GT((b - a).cross(c - a).norm(), 0.0f);
  }
}

TEST(MarchingCubes, SurfaceThatLeavesTheGridIsClosedAtItsBorder) {
  const auto slab = [](const Vec3f& p) { return 0.3f - std::abs(p.z()); };
  EXPECT_TRUE(is_closed(extract(slab, 20)));
  MarchingCubesOptions open;
  open.close_border = false;
  EXPECT_FALSE(is_closed(extract(slab, 20, open)));
}

TEST(MarchingCubes, ValuesThatAreNotFiniteAreOutside) {
  const io::Mesh mesh = extract([](const Vec3f& p) { return p.x() > 0.2f ? NAN : ball(p); }, 20);
  EXPECT_TRUE(is_closed(mesh));
  for (const Vec3f& n : mesh.normals) EXPECT_TRUE(n.allFinite());
}

TEST(MarchingCubes, ColoursComeFromTheCallback) {
  MarchingCubesOptions options;
  options.colour = [](size_t n, const Vec3f* positions, const Vec3f*, Vec3f* colours) {
    for (size_t i = 0; i < n; ++i) colours[i] = positions[i].cwiseAbs();
  };
  const io::Mesh mesh = extract(ball, 16, options);
  ASSERT_EQ(mesh.colours.size(), mesh.positions.size());
  EXPECT_EQ(mesh.colours[7], Vec3f(mesh.positions[7].cwiseAbs()));
}

TEST(RemoveSmallParts, KeepsTheLargest) {
  const auto two = [](const Vec3f& p) {
    return std::max(0.5f - (p - Vec3f(-0.3f, 0, 0)).norm(), 0.1f - (p - Vec3f(0.8f, 0, 0)).norm());
  };
  io::Mesh mesh = extract(two, 40);
  EXPECT_EQ(euler_characteristic(mesh), 4);
  EXPECT_EQ(remove_small_parts(mesh, 0.2), 1);
  EXPECT_EQ(euler_characteristic(mesh), 2);
  EXPECT_TRUE(is_closed(mesh));
  for (const Vec3f& p : mesh.positions) EXPECT_LT(p.x(), 0.3f);
  io::Mesh empty;
  EXPECT_EQ(remove_small_parts(empty, 0.5), 0);
}

TEST(RemoveSmallParts, AboveOneIsANumberOfFaces) {
  const auto two = [](const Vec3f& p) {
    return std::max(0.5f - (p - Vec3f(-0.3f, 0, 0)).norm(), 0.1f - (p - Vec3f(0.8f, 0, 0)).norm());
  };
  io::Mesh mesh = extract(two, 40);
  io::Mesh small = mesh;
  remove_small_parts(small, 0.2);
  const size_t n_of_small_part = mesh.faces.size() - small.faces.size();
  EXPECT_EQ(remove_small_parts(mesh, static_cast<double>(n_of_small_part)), 0);
  EXPECT_EQ(remove_small_parts(mesh, static_cast<double>(n_of_small_part + 1)), 1);
}

TEST(DensityThreshold, CutsBetweenHazeAndMatter) {
  for (const float scale : {1.0f, 100.0f}) {
    DensityThreshold threshold(0.01f / scale);
    std::vector<float> sigma(1000, 0.0f);
    for (size_t i = 0; i < 300; ++i) sigma[i] = scale * 2.0f;   // opacity 0.02
    for (size_t i = 300; i < 500; ++i) sigma[i] = scale * 200;  // opacity 0.86
    threshold.add(sigma.data(), sigma.size());
    EXPECT_GT(threshold.sigma(), scale * 10.0f);
    EXPECT_LT(threshold.sigma(), scale * 150.0f);
  }
  EXPECT_NEAR(DensityThreshold(0.01f).sigma(), 69.3f, 0.1f);
}

}  // namespace
}  // namespace t3d::export_
