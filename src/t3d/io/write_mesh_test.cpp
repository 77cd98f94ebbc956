#include "t3d/io/write_mesh.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "t3d/core/error.h"
#include "t3d/io/read_mesh.h"

namespace t3d::io {
namespace {

using ::testing::HasSubstr;

std::string scratch(const std::string& name) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "t3d_write_mesh_test";
  std::filesystem::create_directories(folder);
  return (folder / name).string();
}

/// A tetrahedron with everything.
Mesh tetrahedron() {
  Mesh mesh;
  mesh.positions = {{0, 0, 0}, {1, 0, 0}, {0, 2, 0}, {0, 0, 3.25f}};
  for (const Vec3f& p : mesh.positions) mesh.normals.push_back((p - Vec3f::Constant(0.3f)).normalized());
  mesh.colours = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {0.5f, 0.25f, 0.75f}};
  mesh.faces = {{0, 2, 1}, {0, 1, 3}, {0, 3, 2}, {1, 2, 3}};
  return mesh;
}

double volume(const Mesh& mesh) {
  double sum = 0;
  for (const auto& f : mesh.faces)
    sum += mesh.positions[f[0]].cross(mesh.positions[f[1]]).dot(mesh.positions[f[2]]) / 6.0;
  return sum;
}

TEST(WriteMesh, EveryFormatReadsBack) {
  const Mesh mesh = tetrahedron();
  for (const char* name : {"a.obj", "a.ply", "a.glb"}) {
    write_mesh(scratch(name), mesh);
    ReadMeshOptions options;
    options.up = std::string(name) == "a.glb" ? UpAxis::Y : UpAxis::Z;
    const Mesh again = read_mesh(scratch(name), options);
    EXPECT_EQ(again.faces.size(), 4u) << name;
    EXPECT_NEAR(volume(again), volume(mesh), 1e-6) << name;
    EXPECT_EQ(again.bounds().max, mesh.bounds().max) << name;
    ASSERT_EQ(again.colours.size(), again.positions.size()) << name;
    for (size_t v = 0; v < again.positions.size(); ++v)
      if (again.positions[v].z() == 3.25f) {
        EXPECT_NEAR(again.colours[v].y(), 0.25f, 0.005f) << name;
      }
  }
}

TEST(WriteMesh, GlbFollowsTheSpecification) {
  const Mesh mesh = tetrahedron();
  write_mesh(scratch("b.glb"), mesh);
  std::ifstream in(scratch("b.glb"), std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  const auto word = [&](size_t at) {
    uint32_t value = 0;
    std::memcpy(&value, bytes.data() + at, 4);
    return value;
  };
  EXPECT_EQ(bytes.substr(0, 4), "glTF");
  EXPECT_EQ(word(4), 2u);
  EXPECT_EQ(word(8), bytes.size());
  const uint32_t n_json = word(12);
  EXPECT_EQ(n_json % 4, 0u);
  EXPECT_EQ(bytes.substr(16, 4), "JSON");
  EXPECT_EQ(word(20 + n_json), bytes.size() - 28 - n_json);
  EXPECT_EQ(bytes.substr(24 + n_json, 4), std::string("BIN\0", 4));
  const auto json = nlohmann::json::parse(bytes.substr(20, n_json));
  const std::string binary = bytes.substr(28 + n_json);
  EXPECT_EQ(json["buffers"][0]["byteLength"], binary.size());
  const auto& primitive = json["meshes"][0]["primitives"][0];
  const auto& position = json["accessors"][primitive["attributes"]["POSITION"].get<size_t>()];
  EXPECT_EQ(position["count"], 4);
  EXPECT_EQ(position["max"], nlohmann::json({2.0, 3.25, 1.0}));  // y up
  EXPECT_EQ(position["min"], nlohmann::json({0.0, 0.0, 0.0}));
  const auto& colour = json["accessors"][primitive["attributes"]["COLOR_0"].get<size_t>()];
  EXPECT_EQ(colour["normalized"], true);
  const auto offset = json["bufferViews"][colour["bufferView"].get<size_t>()]["byteOffset"].get<size_t>();
  uint16_t red = 0;
  std::memcpy(&red, binary.data() + offset + 3 * 8, 2);
  EXPECT_NEAR(red / 65535.0, 0.21404, 1e-4);  // 0.5 in sRGB is 0.214 of the light
  EXPECT_EQ(json["accessors"][primitive["indices"].get<size_t>()]["count"], 12);
  for (const auto& view : json["bufferViews"]) EXPECT_EQ(view["byteOffset"].get<size_t>() % 4, 0u);
}

TEST(WriteMesh, ObjHasColoursAfterPositions) {
  Mesh mesh = tetrahedron();
  mesh.normals.clear();
  write_mesh(scratch("c.obj"), mesh);
  std::ifstream in(scratch("c.obj"));
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  EXPECT_THAT(text, HasSubstr("v 0 0 3.25 0.5 0.25 0.75\n"));
  EXPECT_THAT(text, HasSubstr("f 1 3 2\n"));
}

TEST(WriteMesh, WrongMeshesAreExplainedAndLeaveTheOldFile) {
  const std::string path = scratch("d.ply");
  std::ofstream(path) << "old";
  const auto message = [&](const Mesh& mesh, const std::string& to) -> std::string {
    try {
      write_mesh(to, mesh);
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  };
  Mesh mesh = tetrahedron();
  mesh.faces[2][1] = 9;
  EXPECT_THAT(message(mesh, path), HasSubstr("face 2 refers to vertex 9 but the mesh has 4"));
  mesh = tetrahedron();
  mesh.positions[1].x() = NAN;
  EXPECT_THAT(message(mesh, path), HasSubstr("vertex 1 is not finite"));
  mesh = tetrahedron();
  mesh.colours.pop_back();
  EXPECT_THAT(message(mesh, path), HasSubstr("3 colours"));
  EXPECT_THAT(message(Mesh(), path), HasSubstr("nothing to write"));
  EXPECT_THAT(message(tetrahedron(), scratch("d.stl")), HasSubstr("written as .obj, .ply or .glb"));
  std::ifstream in(path);
  EXPECT_EQ(std::string((std::istreambuf_iterator<char>(in)), {}), "old");
}

}  // namespace
}  // namespace t3d::io
