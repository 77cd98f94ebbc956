#include "t3d/export/uv_atlas.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "t3d/core/error.h"
#include "t3d/export/bake.h"
#include "t3d/export/marching_cubes.h"

namespace t3d::export_ {
namespace {

io::Mesh extract(const std::function<float(const Vec3f&)>& field, int n) {
  const SampleGrid grid = SampleGrid::over_box({Vec3f::Constant(-1), Vec3f::Constant(1)}, n);
  io::Mesh mesh = marching_cubes(
      grid,
      [&](int k, float* values) {
        for (int j = 0; j < n; ++j)
          for (int i = 0; i < n; ++i)
            values[j * n + i] =
                field(grid.origin + Vec3f(static_cast<float>(i), static_cast<float>(j), static_cast<float>(k))
                                        .cwiseProduct(grid.spacing));
      },
      {});
  make_vertex_normals(mesh);
  return mesh;
}

float ball(const Vec3f& p) {
  return 0.7f - p.norm();
}
float torus(const Vec3f& p) {
  return 0.25f - std::hypot(std::hypot(p.x(), p.y()) - 0.6f, p.z());
}
/// A strip wound up twice: its layers lie above each other in every projection along the axis.
float spiral(const Vec3f& p) {
  const float angle = std::atan2(p.y(), p.x()), turns = (p.z() + 0.7f) / 0.6f;
  const float height = turns - angle / 6.2831853f;
  const float layer = std::abs(height - std::round(height)) * 0.6f;
  return std::min(
      {0.09f - layer, p.head<2>().norm() - 0.2f, 0.8f - p.head<2>().norm(), 0.75f - std::abs(p.z())});
}
float two_cubes(const Vec3f& p) {
  const Vec3f q(std::abs(p.x()) - 0.5f, p.y(), p.z());
  return 0.3f - q.cwiseAbs().maxCoeff();
}

/// How many texels' centres lie in more than one face, as a share of those that lie in any.
double share_taken_twice(const io::Mesh& mesh, int size) {
  std::map<std::pair<int, int>, int> taken;
  for (const auto& face : mesh.faces) {
    Vec2f p[3];
    for (int c = 0; c < 3; ++c) p[c] = mesh.uvs[face[static_cast<size_t>(c)]] * static_cast<float>(size);
    const auto cross = [](const Vec2f& a, const Vec2f& b) { return a.x() * b.y() - a.y() * b.x(); };
    const Vec2f low = p[0].cwiseMin(p[1]).cwiseMin(p[2]), high = p[0].cwiseMax(p[1]).cwiseMax(p[2]);
    const float area = cross(p[1] - p[0], p[2] - p[0]);
    for (int y = static_cast<int>(low.y()); y <= high.y(); ++y)
      for (int x = static_cast<int>(low.x()); x <= high.x(); ++x) {
        const Vec2f q(static_cast<float>(x) + 0.5f, static_cast<float>(y) + 0.5f);
        bool inside = std::abs(area) > 0;
        for (int c = 0; c < 3; ++c) inside = inside && cross(p[(c + 1) % 3] - p[c], q - p[c]) / area > 1e-3f;
        if (inside) ++taken[{x, y}];
      }
  }
  double twice = 0;
  for (const auto& [texel, n] : taken) twice += n > 1;
  return twice / static_cast<double>(taken.size());
}

TEST(UvAtlas, CoversEverySurfaceWithoutFolds) {
  const std::map<std::string, std::function<float(const Vec3f&)>> shapes = {
      {"ball", ball}, {"torus", torus}, {"spiral", spiral}, {"two cubes", two_cubes}};
  for (const auto& [name, shape] : shapes) {
    const io::Mesh before = extract(shape, 40);
    io::Mesh mesh = before;
    const AtlasInfo info = make_atlas(mesh, {512, 2, 0.5f});
    EXPECT_EQ(mesh.faces.size(), before.faces.size()) << name;
    ASSERT_EQ(mesh.uvs.size(), mesh.positions.size()) << name;
    EXPECT_EQ(mesh.normals.size(), mesh.positions.size()) << name;
    for (const Vec2f& uv : mesh.uvs) {
      ASSERT_GT(uv.minCoeff(), 0) << name;
      ASSERT_LT(uv.maxCoeff(), 1) << name;
    }
    EXPECT_LT(share_taken_twice(mesh, 512), 2e-3) << name;
    EXPECT_GT(info.used, 0.6) << name;
    EXPECT_LT(info.n_charts, 150) << name;
    EXPECT_LT(static_cast<double>(mesh.positions.size()), 1.6 * static_cast<double>(before.positions.size()))
        << name;
  }
}

TEST(UvAtlas, ABallHasFewCharts) {
  io::Mesh mesh = extract(ball, 40);
  EXPECT_LE(make_atlas(mesh, {512, 2, 0.5f}).n_charts, 16);
}

TEST(UvAtlas, FacesWithoutAreaGoWithTheirNeighbours) {
  io::Mesh mesh = extract(ball, 16);
  for (size_t f = 0; f < mesh.faces.size(); f += 7)
    mesh.positions[mesh.faces[f][0]] = mesh.positions[mesh.faces[f][1]];
  const size_t n = mesh.faces.size();
  make_atlas(mesh, {256, 2, 0.5f});
  EXPECT_EQ(mesh.faces.size(), n);
  for (const Vec2f& uv : mesh.uvs) EXPECT_TRUE(uv.allFinite());
}

TEST(UvAtlas, SaysWhenThePiecesDoNotFit) {
  io::Mesh mesh;
  for (int i = 0; i < 200; ++i) {  // loose triangles
    const auto x = static_cast<float>(i);
    const auto first = static_cast<uint32_t>(mesh.positions.size());
    mesh.positions.insert(mesh.positions.end(), {{x, 0, 0}, {x + 0.5f, 0, 0}, {x, 0.5f, 0}});
    mesh.faces.push_back({first, first + 1, first + 2});
  }
  EXPECT_THROW(make_atlas(mesh, {32, 2, 0.5f}), UserError);
  EXPECT_EQ(make_atlas(mesh, {256, 2, 0.5f}).n_charts, 200);
}

TEST(BakeColours, EachTexelHasTheColourOfItsPoint) {
  io::Mesh mesh = extract(torus, 40);
  make_atlas(mesh, {512, 2, 0.5f});
  const auto colour_at = [](const Vec3f& p) { return Vec3f(0.5f * (p + Vec3f::Ones())); };
  size_t n_asked = 0;
  const io::Image8 texture = bake_colours(
      mesh,
      [&](size_t n, const Vec3f* points, const Vec3f* normals, Vec3f* colours) {
        n_asked += n;
        for (size_t i = 0; i < n; ++i) {
          EXPECT_NEAR(normals[i].norm(), 1, 1e-3);
          colours[i] = colour_at(points[i]);
        }
      },
      512);
  EXPECT_GT(n_asked, 512u * 512u / 4);
  double worst = 0;
  for (const auto& face : mesh.faces) {  // at the middle of each face, and at its corners, which seams meet
    for (const Vec3f& w : {Vec3f(Vec3f::Constant(1.0f / 3)), Vec3f(1, 0, 0)}) {
      Vec2f uv = Vec2f::Zero();
      Vec3f p = Vec3f::Zero();
      for (int c = 0; c < 3; ++c) {
        uv += w[c] * mesh.uvs[face[static_cast<size_t>(c)]];
        p += w[c] * mesh.positions[face[static_cast<size_t>(c)]];
      }
      const uint8_t* t = texture.at(static_cast<int>(uv.x() * 512), static_cast<int>((1 - uv.y()) * 512));
      for (int c = 0; c < 3; ++c)
        worst = std::max(worst, std::abs(static_cast<double>(t[c]) / 255 - colour_at(p)[c]));
    }
  }
  EXPECT_LT(worst, 0.02);
}

TEST(BakeColours, NoTexelIsLeftBlank) {
  io::Mesh mesh = extract(ball, 16);
  make_atlas(mesh, {128, 2, 0.5f});
  const io::Image8 texture = bake_colours(
      mesh,
      [](size_t n, const Vec3f*, const Vec3f*, Vec3f* colours) {
        std::fill_n(colours, n, Vec3f(1, 0.5f, 0));
      },
      128);
  for (size_t i = 0; i < texture.pixels.size(); i += 3) ASSERT_EQ(texture.pixels[i], 255);
}

}  // namespace
}  // namespace t3d::export_
