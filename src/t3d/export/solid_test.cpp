#include "t3d/export/solid.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "t3d/export/check_mesh.h"
#include "t3d/export/mesh_parts.h"

namespace t3d::export_ {
namespace {

using ::testing::HasSubstr;

/// An axis-aligned box of twelve faces, turned outwards.
io::Mesh box(const Vec3f& low, const Vec3f& high) {
  io::Mesh mesh;
  for (int i = 0; i < 8; ++i)
    mesh.positions.emplace_back((i & 1) ? high.x() : low.x(), (i & 2) ? high.y() : low.y(),
                                (i & 4) ? high.z() : low.z());
  mesh.faces = {{0, 2, 3}, {0, 3, 1}, {4, 5, 7}, {4, 7, 6}, {0, 1, 5}, {0, 5, 4},
                {2, 6, 7}, {2, 7, 3}, {0, 4, 6}, {0, 6, 2}, {1, 3, 7}, {1, 7, 5}};
  return mesh;
}

void add(io::Mesh& mesh, const io::Mesh& more) {
  const auto first = static_cast<uint32_t>(mesh.positions.size());
  mesh.positions.insert(mesh.positions.end(), more.positions.begin(), more.positions.end());
  for (const auto& f : more.faces) mesh.faces.push_back({first + f[0], first + f[1], first + f[2]});
}

TEST(MakeSolid, LeavesASolidAlone) {
  io::Mesh mesh = box({0, 0, 0}, {1, 2, 3});
  const SolidReport report = make_solid(mesh);
  EXPECT_FALSE(report.has_changes()) << report.text();
  EXPECT_TRUE(report.is_watertight);
  EXPECT_EQ(mesh.faces.size(), 12u);
  EXPECT_NEAR(volume(mesh), 6, 1e-5);
}

TEST(MakeSolid, JoinsSeamsAndDropsWhatHasNoAreaOrIsThereTwice) {
  io::Mesh mesh = box({0, 0, 0}, {1, 1, 1});
  io::Mesh split;
  for (const auto& f : mesh.faces) {
    const auto first = static_cast<uint32_t>(split.positions.size());
    for (const uint32_t v : f) split.positions.push_back(mesh.positions[v]);
    split.faces.push_back({first, first + 1, first + 2});
  }
  split.faces.push_back(split.faces[3]);
  split.faces.push_back({0, 0, 1});
  const SolidReport report = make_solid(split);
  EXPECT_EQ(report.n_dropped_faces, 2u);
  EXPECT_TRUE(report.is_watertight);
  EXPECT_EQ(split.positions.size(), 8u);
}

TEST(MakeSolid, DropsShellsInsideOfOthersWhicheverWayTheyAreTurned) {
  io::Mesh mesh = box({0, 0, 0}, {4, 4, 4});
  io::Mesh inward = box({1, 1, 1}, {2, 2, 2});
  for (auto& f : inward.faces) std::swap(f[1], f[2]);
  add(mesh, inward);
  add(mesh, box({2.5f, 2.5f, 2.5f}, {3, 3, 3}));
  add(mesh, box({5, 0, 0}, {6, 1, 1}));        // beside
  add(mesh, box({3.5f, 1, 1}, {4.5f, 2, 2}));  // through the wall
  const SolidReport report = make_solid(mesh);
  EXPECT_EQ(report.n_inner_shells, 2u);
  EXPECT_TRUE(report.is_watertight);
  EXPECT_NEAR(volume(mesh), 64 + 1 + 1, 1e-4);
  EXPECT_THAT(report.text(), HasSubstr("left out 2 inner shells"));
}

TEST(MakeSolid, ShellsInANookOfAnotherStay) {
  // A bracket, whose box has room for another part that is not inside it.
  io::Mesh mesh = box({0, 0, 0}, {4, 4, 1});
  add(mesh, box({1, 1, 2}, {2, 2, 3}));
  add(mesh, box({0, 0, 1.5f}, {0.5f, 4, 4}));
  EXPECT_EQ(make_solid(mesh).n_inner_shells, 0u);
}

TEST(MakeSolid, TakesTouchingBodiesApart) {
  io::Mesh mesh = box({0, 0, 0}, {1, 1, 1});
  add(mesh, box({1, 1, 0}, {2, 2, 1}));  // they share an edge, which has four faces
  ASSERT_EQ(check_shape(mesh).n_crowded_edges, 1u);
  const SolidReport report = make_solid(mesh);
  EXPECT_EQ(report.n_crowded_edges, 1u);
  EXPECT_TRUE(report.is_watertight) << report.n_open_edges << " " << report.n_crowded_left;
  EXPECT_NEAR(volume(mesh), 2, 0.01);
}

TEST(MakeSolid, ClosesSmallHolesAndLeavesLargeOnes) {
  // A long box with a small square missing at its end.
  io::Mesh mesh = box({0, 0, 0}, {1, 1, 30});
  mesh.faces.erase(mesh.faces.begin() + 2, mesh.faces.begin() + 4);
  const SolidReport report = make_solid(mesh);
  EXPECT_EQ(report.n_holes, 1u);
  EXPECT_TRUE(report.is_watertight);
  EXPECT_NEAR(volume(mesh), 30, 1e-4);
  io::Mesh open = box({0, 0, 0}, {1, 1, 2});
  open.faces.resize(10);
  const SolidReport left = make_solid(open);
  EXPECT_EQ(left.n_holes, 0u);
  EXPECT_FALSE(left.is_watertight);
  EXPECT_EQ(left.n_open_edges, 4u);
}

TEST(MakeSolid, TurnsFacesAlikeAndOutwards) {
  io::Mesh mesh = box({0, 0, 0}, {1, 1, 1});
  for (const size_t f : {0u, 5u, 7u}) std::swap(mesh.faces[f][1], mesh.faces[f][2]);
  SolidReport report = make_solid(mesh);
  EXPECT_EQ(report.n_turned_faces, 3u);
  EXPECT_TRUE(report.is_watertight);
  EXPECT_NEAR(volume(mesh), 1, 1e-6);
  for (auto& f : mesh.faces) std::swap(f[1], f[2]);
  EXPECT_EQ(make_solid(mesh).n_turned_faces, 12u);
  EXPECT_NEAR(volume(mesh), 1, 1e-6);
}

TEST(CheckShape, CountsWhatIsWrong) {
  io::Mesh mesh = box({0, 0, 0}, {1, 1, 1});
  EXPECT_TRUE(check_mesh(mesh).is_fine());
  mesh.faces.pop_back();
  EXPECT_EQ(check_shape(mesh).n_boundary_edges, 3u);
  std::swap(mesh.faces[0][0], mesh.faces[0][1]);
  EXPECT_EQ(check_shape(mesh).n_turned_edges, 3u);
  mesh.faces.push_back({0, 1, 1});
  const ShapeCheck check = check_shape(mesh);
  EXPECT_EQ(check.n_degenerate_faces, 1u);
  EXPECT_EQ(check.n_components, 1u);
  EXPECT_EQ(check.n_vertices, 8u);
  EXPECT_THAT(check_table(check_mesh(mesh)), HasSubstr("boundary edges               3"));
}

/// Two squares of two faces each.
io::Mesh squares() {
  io::Mesh mesh;
  for (int s = 0; s < 2; ++s) {
    const auto x = static_cast<float>(2 * s);
    const auto first = static_cast<uint32_t>(4 * s);
    for (const Vec2f& p : {Vec2f(0, 0), Vec2f(1, 0), Vec2f(1, 1), Vec2f(0, 1)}) {
      mesh.positions.emplace_back(x + p.x(), p.y(), 0.0f);
      mesh.uvs.push_back(0.25f * p + Vec2f(0.5f * static_cast<float>(s), 0));
    }
    mesh.faces.push_back({first, first + 1, first + 2});
    mesh.faces.push_back({first, first + 2, first + 3});
  }
  return mesh;
}

TEST(CheckUv, CountsChartsTexelsAndDensity) {
  const UvCheck check = check_uv(squares(), 64);
  EXPECT_EQ(check.n_charts, 2u);
  EXPECT_EQ(check.n_texels, 2u * 16 * 16) << "each centre in one face, also on the diagonal";
  EXPECT_EQ(check.n_shared_texels, 0u);
  EXPECT_EQ(check.n_inverted_charts + check.n_inverted_faces, 0u);
  for (const double density : check.density) EXPECT_NEAR(density, 16, 1e-4);
}

TEST(CheckUv, FindsOverlapsAndInversions) {
  io::Mesh mesh = squares();
  for (size_t v = 4; v < 8; ++v) mesh.uvs[v].x() -= 0.375f;  // half over the first
  EXPECT_EQ(check_uv(mesh, 64).n_shared_texels, 8u * 16);
  mesh = squares();
  for (size_t v = 4; v < 8; ++v) mesh.uvs[v].x() = 1 - mesh.uvs[v].x();
  EXPECT_EQ(check_uv(mesh, 64).n_inverted_charts, 1u);
  mesh = squares();
  mesh.uvs[2] = Vec2f(-0.05f, 0.1f);  // folded over
  EXPECT_GE(check_uv(mesh, 64).n_inverted_faces, 1u);
  mesh = squares();
  for (size_t v = 0; v < 4; ++v) mesh.uvs[v] *= 8;  // repeats over itself
  EXPECT_GT(check_uv(mesh, 64).n_shared_texels, 0u);
}

}  // namespace
}  // namespace t3d::export_
