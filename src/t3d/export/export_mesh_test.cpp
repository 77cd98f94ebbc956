#include "t3d/export/export_mesh.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>

#include "t3d/core/error.h"
#include "t3d/core/remove_tree.h"
#include "t3d/export/check_mesh.h"
#include "t3d/export/decimate.h"
#include "t3d/export/mesh_parts.h"
#include "t3d/io/read_mesh.h"

namespace t3d::export_ {
namespace {

using ::testing::HasSubstr;
using Density = std::function<float(const Vec3f&)>;

/// Soft-edged matter where `distance` is negative.
float matter(float distance) {
  return 60 / (1 + std::exp(distance * 80));
}
float ball(const Vec3f& p) {
  return matter(p.norm() - 0.5f);
}
float noise(const Vec3f& p) {
  return std::sin(91 * p.x() + 37 * p.y()) * std::sin(57 * p.y() - 71 * p.z()) * std::cos(83 * p.z() + p.x());
}

FieldSampler sampler(const Density& density) {
  FieldSampler out;
  out.density = [density](size_t n, const Vec3f* points, float* values) {
    for (size_t i = 0; i < n; ++i) values[i] = density(points[i]);
  };
  return out;
}

/// Coloured by place.
MeshSource source(const Density& density) {
  MeshSource out;
  out.field = sampler(density);
  out.maps = albedo_alone([](size_t n, const Vec3f* points, const Vec3f*, Vec3f* colours) {
    for (size_t i = 0; i < n; ++i) colours[i] = 0.5f * (points[i] + Vec3f::Ones());
  });
  return out;
}

FieldSurface cut(const Density& density, SurfaceOptions options = {}) {
  options.resolution = 64;
  return cut_field(sampler(density), options);
}

::testing::AssertionResult is_closed(const io::Mesh& mesh) {
  std::map<std::pair<uint32_t, uint32_t>, int> edges;
  for (const auto& f : mesh.faces)
    for (size_t c = 0; c < 3; ++c) ++edges[{f[c], f[(c + 1) % 3]}];
  for (const auto& [edge, count] : edges)
    if (count != 1 || edges.count({edge.second, edge.first}) == 0)
      return ::testing::AssertionFailure() << "edge " << edge.first << "-" << edge.second;
  return ::testing::AssertionSuccess();
}

std::string message_of(const Density& density) {
  try {
    cut(density);
  } catch (const UserError& e) {
    return e.what();
  }
  return "";
}

constexpr double kBall = 4.18879 * 0.125;

TEST(CutField, ABallIsABall) {
  const FieldSurface s = cut(ball);
  EXPECT_TRUE(is_closed(s.mesh));
  // Up to half a cell outside, where the soft edge has absorbed enough.
  EXPECT_NEAR(volume(s.mesh), kBall, 0.12 * kBall);
  for (size_t v = 0; v < s.mesh.positions.size(); ++v) {
    EXPECT_NEAR(s.mesh.positions[v].norm(), 0.5f, 0.02f);
    EXPECT_GT(s.mesh.normals[v].dot(s.mesh.positions[v].normalized()), 0.9f);
  }
  EXPECT_LT(s.box.size().maxCoeff(), 1.45f) << "the finer grid should lie close around the ball";
}

TEST(CutField, ScaleOfDensityDoesNotMatter) {
  // Denser matter is opaque further out, where its soft edge is thin.
  for (const float scale : {0.1f, 1.0f, 4.0f})
    EXPECT_NEAR(volume(cut([=](const Vec3f& p) { return scale * ball(p); }).mesh), kBall, 0.3 * kBall)
        << scale;
}

TEST(CutField, AnEmptyFieldIsASentence) {
  EXPECT_THAT(message_of([](const Vec3f&) { return 0.0f; }), HasSubstr("the field is empty"));
  EXPECT_THAT(message_of([](const Vec3f&) { return -3.0f; }), HasSubstr("the field is empty"));
  EXPECT_THAT(message_of([](const Vec3f&) { return NAN; }), HasSubstr("the field is empty"));
  EXPECT_THAT(message_of([](const Vec3f&) { return 1e-6f; }), HasSubstr("the field is empty"));
}

TEST(CutField, AFullFieldIsASentence) {
  EXPECT_THAT(message_of([](const Vec3f&) { return 100.0f; }), HasSubstr("the field fills its box"));
  EXPECT_THAT(message_of([](const Vec3f& p) { return 100 + noise(p); }),
              HasSubstr("the field fills its box"));
}

TEST(CutField, HazeUpToTheBorderIsNotTheBox) {
  const FieldSurface s = cut([](const Vec3f& p) { return 8 + noise(p) + ball(p); });
  EXPECT_NEAR(volume(s.mesh), kBall, 0.2 * kBall);
}

TEST(CutField, ABallInsideAHollowShellIsSolid) {
  const auto shell = [](const Vec3f& p) { return matter(std::abs(p.norm() - 0.45f) - 0.05f); };
  EXPECT_NEAR(volume(cut(shell).mesh), kBall, 0.15 * kBall);
  SurfaceOptions options;
  options.keep_hollows = true;
  options.threshold = 30;
  EXPECT_LT(volume(cut(shell, options).mesh), 0.6 * kBall);
}

TEST(CutField, ThinMatterSurvives) {
  const auto plate = [](const Vec3f& p) {
    return std::abs(p.z()) < 0.018f && p.head<2>().cwiseAbs().maxCoeff() < 0.7f ? 200.0f : 0.0f;
  };
  const Vec3f size = cut(plate).mesh.bounds().size();
  EXPECT_NEAR(size.x(), 1.4f, 0.1f);
  EXPECT_LT(size.z(), 0.15f);
}

TEST(CutField, AThinSheetIsThereWhereItHidesMoreThanHalf) {
  // As thick as two cells; the opacity of a ray across is that of the name.
  const auto sheet = [](float opacity) {
    return [=](const Vec3f& p) {
      const bool is_inside = std::abs(p.z()) < 0.04f && std::abs(p.x()) < 0.6f && std::abs(p.y()) < 0.6f;
      const bool is_core = p.norm() < 0.2f;  // solid matter, so that the field is not translucent as a whole
      return is_core ? 200.0f : is_inside ? -std::log1p(-opacity) / 0.08f : 0.0f;
    };
  };
  EXPECT_GT(cut(sheet(0.7f)).mesh.bounds().size().x(), 1.1f);
  EXPECT_LT(cut(sheet(0.3f)).mesh.bounds().size().x(), 0.6f);
}

TEST(CutField, TwoPartsStayAndSpecksGo) {
  const auto field = [](const Vec3f& p) {
    return std::max({matter((p - Vec3f(0.5f, 0, 0)).norm() - 0.3f),
                     matter((p + Vec3f(0.5f, 0, 0)).norm() - 0.25f),
                     matter((p - Vec3f(0, 0.9f, 0.9f)).norm() - 0.045f)});
  };
  const FieldSurface s = cut(field);
  EXPECT_NEAR(volume(s.mesh), 4.18879 * (0.027 + 0.015625), 0.05);
  EXPECT_LT(s.mesh.bounds().max.z(), 0.4f);
}

TEST(CutField, ANamedThresholdIsKept) {
  SurfaceOptions options;
  options.threshold = 12;
  const io::Mesh at_12 = cut(ball, options).mesh;
  for (const Vec3f& p : at_12.positions) EXPECT_NEAR(ball(p), 12, 8);
  options.threshold = 1000;
  EXPECT_THROW(cut(ball, options), UserError);
}

#ifdef T3D_HAS_MESHOPTIMIZER
TEST(Decimate, KeepsTheShapeWithFewerFaces) {
  SurfaceOptions options;
  options.n_faces = 0;
  const size_t n_all = cut(ball, options).mesh.faces.size();
  options.n_faces = 1500;
  const io::Mesh few = cut(ball, options).mesh;
  EXPECT_GT(n_all, 8000u);
  EXPECT_LE(few.faces.size(), 1500u);
  EXPECT_TRUE(is_closed(few));
  EXPECT_NEAR(volume(few), kBall, 0.12 * kBall);
}
#endif

/// Removed at the end.
struct Folder {
  std::string path = ::testing::TempDir() + "t3d_export_mesh";
  Folder() { remove_tree(path); }
  ~Folder() { remove_tree(path); }
};

io::Mesh read_again(const std::string& path) {
  io::ReadMeshOptions read;
  read.up = std::filesystem::path(path).extension() == ".glb" ? io::UpAxis::Y : io::UpAxis::Z;
  return io::read_mesh(path, read);
}

std::vector<std::string> names(const std::vector<std::string>& paths) {
  std::vector<std::string> out;
  for (const std::string& path : paths) {
    EXPECT_TRUE(std::filesystem::exists(path)) << path;
    out.push_back(std::filesystem::path(path).filename().string());
  }
  return out;
}

ExportOptions small(std::vector<MeshFormat> formats) {
  ExportOptions options;
  options.surface.resolution = 48;
  options.texture.size = 256;
  options.formats = std::move(formats);
  options.name = "a ball";
  return options;
}

TEST(ExportMesh, WritesFilesThatReadBackWithTheirTexture) {
  const ExportOptions options = small({MeshFormat::ObjMtl, MeshFormat::Ply});
  const MeshExport made = make_meshes(source(ball), options);
  EXPECT_TRUE(made.mapped.colours.empty());
  ASSERT_EQ(made.coloured.colours.size(), made.coloured.positions.size());
  for (size_t v = 0; v < made.coloured.positions.size(); ++v)
    EXPECT_LT((made.coloured.colours[v] - 0.5f * (made.coloured.positions[v] + Vec3f::Ones())).norm(), 1e-5f);
  EXPECT_GT(made.atlas.n_charts, 3);
  const Folder folder;
  const WrittenMesh written = write_meshes(made, folder.path, options);
  EXPECT_EQ(written.n_faces, made.mapped.faces.size());
  EXPECT_THAT(names(written.paths),
              ::testing::ElementsAre("a ball.glb", "a ball.obj", "a ball.mtl", "a ball.png", "a ball.ply"));
  for (const char* ending : {".glb", ".obj"}) {
    const io::Mesh again = read_again(folder.path + "/a ball" + ending);
    EXPECT_EQ(again.faces.size(), made.mapped.faces.size()) << ending;
    ASSERT_EQ(again.textures.size(), 1u) << ending;
    EXPECT_EQ(again.textures[0].pixels, made.mapped.textures[0].pixels) << ending;
    ASSERT_EQ(again.uvs.size(), again.positions.size()) << ending;
    double worst = 0;  // colour of a vertex by the texture, against the field's
    for (size_t v = 0; v < again.positions.size(); ++v) {
      const uint8_t* t = again.textures[0].at(static_cast<int>(again.uvs[v].x() * 256),
                                              static_cast<int>((1 - again.uvs[v].y()) * 256));
      for (int c = 0; c < 3; ++c)
        worst = std::max<double>(worst, std::abs(t[c] / 255.0f - 0.5f * (again.positions[v][c] + 1)));
    }
    EXPECT_LT(worst, 0.03) << ending;
  }
  EXPECT_TRUE(is_closed(read_again(folder.path + "/a ball.ply")));
}

TEST(ExportMesh, FormatsThatAreOneFileComeAlone) {
  const Folder folder;
  EXPECT_THAT(names(export_mesh(source(ball), folder.path, small({MeshFormat::Glb})).paths),
              ::testing::ElementsAre("a ball.glb"));
  EXPECT_THAT(names(export_mesh(source(ball), folder.path, small({MeshFormat::Ply})).paths),
              ::testing::ElementsAre("a ball.ply"));
  EXPECT_FALSE(std::filesystem::exists(folder.path + "/a ball.obj"));
}

TEST(ExportMesh, ASurfaceKeepsItsTextureCoordinatesAndIsColouredWhereItLies) {
  io::Mesh square;
  square.positions = {{0, 0, 0}, {1, 0, 0}, {1, 1, 0}, {0, 1, 0}};
  square.faces = {{0, 1, 2}, {0, 2, 3}};
  square.uvs = {{0, 0}, {1, 0}, {1, 1}, {0, 1}};
  MeshSource from = source(ball);
  from.surface = std::make_shared<io::Mesh>(square);
  from.world_from_source = Mat4f::Identity();
  from.world_from_source->block<3, 1>(0, 3) = Vec3f(5, 0, 0);
  const MeshExport made = make_meshes(from, small({MeshFormat::Glb}));
  ASSERT_EQ(made.mapped.uvs, square.uvs);
  EXPECT_EQ(made.mapped.positions[1], Vec3f(6, 0, 0));
  EXPECT_EQ(made.mapped.normals[1], Vec3f(0, 0, 1));
  const io::Image8& texture = made.mapped.textures.at(0);
  for (const int x : {10, 200})  // red grows with x from a half, from before the mesh was moved
    EXPECT_NEAR(texture.at(x, 100)[0], 127.5 * (1 + (x + 0.5) / 256), 1.0);
}

TEST(ExportMesh, AnStlOfAFieldIsWatertightAlsoAfterDecimation) {
  // Two balls that touch, one inside a shell, and noise.
  const auto field = [](const Vec3f& p) {
    return std::max(matter((p - Vec3f(0.45f, 0, 0)).norm() - 0.3f + 0.02f * noise(p)),
                    matter(std::abs((p + Vec3f(0.2f, 0, 0)).norm() - 0.33f) - 0.03f));
  };
  ExportOptions options = small({MeshFormat::Stl, MeshFormat::ThreeMf});
  options.surface.n_faces = 900;
  const Folder folder;
  const WrittenMesh written = export_mesh(source(field), folder.path, options);
  EXPECT_THAT(names(written.paths), ::testing::ElementsAre("a ball.stl", "a ball.3mf"));
  io::ReadMeshOptions read;
  read.up = io::UpAxis::Z;
  const io::Mesh again = io::read_mesh(written.paths[0], read);
  const ShapeCheck check = check_shape(again);
  EXPECT_TRUE(check.is_watertight()) << check_table(check_mesh(again));
  EXPECT_EQ(check.n_degenerate_faces, 0u);
  EXPECT_EQ(check.n_faces, written.n_faces);
}

TEST(ExportMesh, MapsBecomeTexturesThatReadBack) {
  MeshSource from = source(ball);
  from.maps = [](size_t n, const Vec3f*, const Vec3f*) {
    NamedMaps maps;
    maps["albedo"] = {3, std::vector<float>(3 * n, 0.5f)};
    maps["metallic"] = {1, std::vector<float>(n, 0.25f)};
    maps["roughness"] = {1, std::vector<float>(n, 0.75f)};
    auto& bump = maps["bump"] = {3, std::vector<float>(3 * n, 0.5f)};
    for (size_t i = 0; i < n; ++i) bump.values[3 * i + 2] = 1;
    return maps;
  };
  const Folder folder;
  ExportOptions options = small({MeshFormat::ObjMtl});
  options.texture.size = 64;
  options.texture_name = "texture_kd";
  EXPECT_THAT(names(export_mesh(from, folder.path, options).paths),
              ::testing::ElementsAre("a ball.glb", "a ball.obj", "a ball.mtl", "texture_kd.png",
                                     "texture_roughness.png", "texture_metallic.png", "texture_nrm.png"));
  for (const char* ending : {".glb", ".obj"}) {
    const io::Mesh again = read_again(folder.path + "/a ball" + ending);
    const io::Material& m = again.materials.at(0);
    const auto texel = [&](const io::TextureSlot& slot) {
      return again.textures.at(static_cast<size_t>(slot.texture)).at(20, 30);
    };
    EXPECT_EQ(texel(m.base_texture)[1], 128) << ending;
    EXPECT_EQ(texel(m.metallic_texture)[m.metallic_texture.channel], 64) << ending;
    EXPECT_EQ(texel(m.roughness_texture)[m.roughness_texture.channel], 191) << ending;
    EXPECT_EQ(texel(m.normal_texture)[2], 255) << ending;
    EXPECT_EQ(m.metallic, 1) << ending;
    EXPECT_EQ(m.roughness, 1) << ending;
  }
}

TEST(ExportMesh, ADensityThatIsNowhereIsAWarningAndTheSeenSurface) {
  ExportOptions options = small({MeshFormat::Ply});
  options.surface.threshold = 1e6f;
  EXPECT_NEAR(volume(make_meshes(source(ball), options).coloured), kBall, 0.2 * kBall);
}

TEST(ExportMesh, WithoutAnAlbedoItIsWhite) {
  MeshSource from = source(ball);
  from.maps = [](size_t n, const Vec3f*, const Vec3f*) {
    return NamedMaps{{"roughness", {1, std::vector<float>(n, 0.5f)}}};
  };
  for (const Vec3f& colour : make_meshes(from, small({MeshFormat::Ply})).coloured.colours)
    ASSERT_EQ(colour, Vec3f(Vec3f::Ones()));
}

}  // namespace
}  // namespace t3d::export_
