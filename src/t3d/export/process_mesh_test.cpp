#include "t3d/export/process_mesh.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "t3d/core/error.h"
#include "t3d/export/bake.h"
#include "t3d/export/check_mesh.h"
#include "t3d/export/decimate.h"
#include "t3d/export/mesh_parts.h"
#include "tests/support/message_of.h"

namespace t3d::export_ {
namespace {

using ::testing::HasSubstr;

/// A ball of 2 n (n - 1) faces whose texture coordinates are longitude and latitude, with a seam.
io::Mesh globe(int n) {
  constexpr float kPi = 3.14159265f;
  io::Mesh mesh;
  const int m = 2 * n;
  for (int j = 0; j <= n; ++j)
    for (int i = 0; i <= m; ++i) {
      const float u = static_cast<float>(i) / static_cast<float>(m),
                  v = static_cast<float>(j) / static_cast<float>(n);
      const float a = 2 * kPi * static_cast<float>(i % m) / static_cast<float>(m), b = kPi * (v - 0.5f);
      const bool is_pole = j == 0 || j == n;
      const Vec3f p = is_pole ? Vec3f(0, 0, j == 0 ? -1.0f : 1.0f)
                              : Vec3f(std::cos(a) * std::cos(b), std::sin(a) * std::cos(b), std::sin(b));
      mesh.positions.push_back(p);
      mesh.normals.push_back(p);
      mesh.uvs.emplace_back(u, v);
    }
  for (int j = 0; j < n; ++j)
    for (int i = 0; i < m; ++i) {
      const auto at = [&](int x, int y) { return static_cast<uint32_t>(y * (m + 1) + x); };
      if (j > 0) mesh.faces.push_back({at(i, j), at(i + 1, j), at(i + 1, j + 1)});
      if (j + 1 < n) mesh.faces.push_back({at(i, j), at(i + 1, j + 1), at(i, j + 1)});
    }
  return mesh;
}

/// The same with a texture whose red grows with latitude, and whose roughness is low in the south.
std::shared_ptr<const io::Mesh> painted_globe(int n) {
  auto mesh = std::make_shared<io::Mesh>(globe(n));
  io::Image8 colour(64, 64, 4), finish(64, 64, 4);
  for (int y = 0; y < 64; ++y)
    for (int x = 0; x < 64; ++x) {
      uint8_t* c = colour.at(x, y);
      c[0] = static_cast<uint8_t>(4 * (63 - y)), c[1] = 128, c[2] = 0, c[3] = 255;
      uint8_t* f = finish.at(x, y);
      f[0] = f[2] = 0, f[1] = y < 32 ? 200 : 50, f[3] = 255;
    }
  mesh->textures = {colour, finish};
  io::Material m;
  m.name = "earth";
  m.base_colour = Vec3f::Ones();
  m.alpha_mode = io::AlphaMode::Opaque;
  m.base_texture.texture = 0;
  m.roughness = 1, m.roughness_texture.texture = 1, m.roughness_texture.channel = 1;
  mesh->materials = {m};
  return mesh;
}

const uint8_t* texel_at(const io::Image8& image, const Vec2f& uv) {
  return image.at(
      std::clamp(static_cast<int>(uv.x() * static_cast<float>(image.width)), 0, image.width - 1),
      std::clamp(static_cast<int>((1 - uv.y()) * static_cast<float>(image.height)), 0, image.height - 1));
}

TEST(ProcessMesh, KeepsWhatStaysValid) {
  const auto mesh = painted_globe(24);
  const io::Mesh same = process_mesh(mesh, {});
  EXPECT_EQ(same.faces, mesh->faces);
  EXPECT_EQ(same.uvs, mesh->uvs);
  EXPECT_EQ(same.textures.size(), 2u);
  EXPECT_EQ(same.materials[0].name, "earth");
}

TEST(ProcessMesh, ANewAtlasIsPaintedAsTheOldOne) {
  ProcessOptions options;
  options.makes_uv = true;
  options.atlas.size = 256;
  const io::Mesh mesh = process_mesh(painted_globe(32), options);
  const MeshCheck check = check_mesh(mesh);
  EXPECT_TRUE(check.is_fine()) << check_table(check);
  ASSERT_EQ(mesh.materials.size(), 1u);
  const io::Material& m = mesh.materials[0];
  const auto& colour = mesh.textures.at(static_cast<size_t>(m.base_texture.texture));
  const auto& finish = mesh.textures.at(static_cast<size_t>(m.roughness_texture.texture));
  EXPECT_EQ(colour.width, 256);
  double worst = 0;
  for (const auto& face : mesh.faces) {
    Vec3f p = Vec3f::Zero();
    Vec2f uv = Vec2f::Zero();
    for (const uint32_t v : face) p += mesh.positions[v] / 3, uv += mesh.uvs[v] / 3;
    const float latitude = std::asin(p.normalized().z()) / 3.14159265f + 0.5f;
    const uint8_t* c = texel_at(colour, uv);
    worst = std::max<double>(worst, std::abs(c[0] - 252 * latitude));
    EXPECT_NEAR(c[1], 128, 2);
    if (std::abs(latitude - 0.5f) > 0.05f) {
      EXPECT_NEAR(texel_at(finish, uv)[m.roughness_texture.channel], latitude > 0.5f ? 200 : 50, 2);
    }
  }
  EXPECT_LT(worst, 12) << "of 252, over texels of two atlases";
}

#ifdef T3D_HAS_MESHOPTIMIZER
TEST(ProcessMesh, DecimatesWithTexturesKeptOrBakedAnew) {
  ProcessOptions options;
  options.n_faces = 600;
  const auto mesh = painted_globe(48);
  const io::Mesh kept = process_mesh(mesh, options);
  EXPECT_LE(kept.faces.size(), 600u);
  EXPECT_EQ(kept.materials[0].name, "earth");
  ASSERT_EQ(kept.uvs.size(), kept.positions.size());
  EXPECT_NEAR(volume(kept), 4.18879, 0.4);  // the seam keeps its vertices
  options.makes_uv = true;
  options.atlas.size = 128;
  const io::Mesh baked = process_mesh(mesh, options);
  EXPECT_LE(baked.faces.size(), 600u);
  EXPECT_TRUE(check_mesh(baked).is_fine()) << check_table(check_mesh(baked));
  EXPECT_EQ(baked.textures.at(0).width, 128);
}

TEST(Decimate, LeavesTheBordersBetweenMaterialsClosed) {
  io::Mesh mesh = globe(40);
  mesh.materials.resize(2);
  for (const auto& face : mesh.faces)
    mesh.face_material.push_back(mesh.positions[face[0]].z() + mesh.positions[face[1]].z() > 0 ? 1 : 0);
  const size_t n_before = mesh.faces.size();
  decimate(mesh, 1500, 1);
  EXPECT_LT(mesh.faces.size(), n_before / 2);
  EXPECT_EQ(mesh.face_material.size(), mesh.faces.size());
  EXPECT_TRUE(check_shape(mesh).is_watertight());
}

TEST(ProcessMesh, NormalsOfTheFineMeshAreOnTheCoarseOne) {
  // A ball with a fine ripple: the coarse one has lost it, its normal texture has not.
  auto fine = std::make_shared<io::Mesh>(globe(160));
  for (Vec3f& p : fine->positions) p *= 1 + 0.004f * std::sin(24 * std::asin(std::clamp(p.z(), -1.0f, 1.0f)));
  io::Mesh welded = *fine;
  make_vertex_normals(welded);
  fine->normals = welded.normals;
  ProcessOptions options;
  options.n_faces = 2000;
  options.makes_uv = options.bakes_normals = true;
  options.atlas.size = 512;
  const io::Mesh mesh = process_mesh(fine, options);
  ASSERT_TRUE(mesh.materials.at(0).normal_texture.is_set());
  const auto& texture = mesh.textures.at(static_cast<size_t>(mesh.materials[0].normal_texture.texture));
  double up = 0, away = 0, n = 0;
  for (size_t i = 0; i < texture.pixels.size(); i += 4) {
    const Vec3f local =
        Vec3f(texture.pixels[i], texture.pixels[i + 1], texture.pixels[i + 2]) / 127.5f - Vec3f::Ones();
    EXPECT_NEAR(local.norm(), 1, 0.35);  // between texels of different directions
    up += local.z();
    away += local.head<2>().norm();
    ++n;
  }
  EXPECT_GT(up / n, 0.9);
  EXPECT_GT(away / n, 0.03) << "the ripple's slope is about 0.1";
}
#endif

TEST(BakeNormals, ASurfacesOwnNormalsAreStraightUp) {
  const io::Mesh mesh = globe(24);
  const io::Image8 image = bake_normals(
      mesh, [](size_t n, const Vec3f*, const Vec3f* normals, Vec3f* out) { std::copy_n(normals, n, out); },
      64);
  for (size_t i = 0; i < image.pixels.size(); i += 3) {
    EXPECT_NEAR(image.pixels[i], 127.5, 1);
    EXPECT_NEAR(image.pixels[i + 1], 127.5, 1);
    EXPECT_EQ(image.pixels[i + 2], 255);
  }
}

TEST(BakeNormals, XGrowsWithUAndYWithV) {
  io::Mesh mesh;
  mesh.positions = {{0, 0, 0}, {1, 0, 0}, {1, 1, 0}, {0, 1, 0}};
  mesh.normals.assign(4, Vec3f(0, 0, 1));
  mesh.uvs = {{0, 0}, {1, 0}, {1, 1}, {0, 1}};
  mesh.faces = {{0, 1, 2}, {0, 2, 3}};
  const auto tilted = [](const Vec3f& normal) {
    return [normal](size_t n, const Vec3f*, const Vec3f*, Vec3f* out) {
      std::fill_n(out, n, normal.normalized());
    };
  };
  const io::Image8 to_x = bake_normals(mesh, tilted({1, 0, 1}), 16),
                   to_y = bake_normals(mesh, tilted({0, 1, 1}), 16);
  EXPECT_NEAR(to_x.at(8, 8)[0], 127.5 * 1.7071, 1);
  EXPECT_NEAR(to_x.at(8, 8)[1], 127.5, 1);
  EXPECT_NEAR(to_y.at(8, 8)[1], 127.5 * 1.7071, 1);
}

TEST(ProcessMesh, SaysWhyNormalsCannotBeBaked) {
  auto mesh = std::make_shared<io::Mesh>(globe(12));
  mesh->uvs.clear();
  ProcessOptions options;
  options.bakes_normals = true;
  EXPECT_THAT(testing::message_of([&] { process_mesh(mesh, options); }), HasSubstr("Add --uv"));
}

TEST(ColourByMaterials, PutsTexturesAtVertices) {
  io::Mesh mesh = *painted_globe(24);
  colour_by_materials(mesh);
  ASSERT_EQ(mesh.colours.size(), mesh.positions.size());
  for (size_t v = 0; v < mesh.positions.size(); ++v)
    if (std::abs(mesh.positions[v].z()) < 0.9f) {
      EXPECT_NEAR(mesh.colours[v].x(), mesh.uvs[v].y() * 252 / 255, 0.03);
    }
}

}  // namespace
}  // namespace t3d::export_
