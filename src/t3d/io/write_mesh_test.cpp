#include "t3d/io/write_mesh.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
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
  for (const char* name : {"a.obj", "a.ply", "a.glb", "a.stl"}) {
    EXPECT_EQ(write_mesh(scratch(name), mesh).at(0), scratch(name));
    ReadMeshOptions options;
    options.up = std::string(name) == "a.glb" ? UpAxis::Y : UpAxis::Z;
    const Mesh again = read_mesh(scratch(name), options);
    EXPECT_EQ(again.faces.size(), 4u) << name;
    EXPECT_NEAR(volume(again), volume(mesh), 1e-6) << name;
    EXPECT_EQ(again.bounds().max, mesh.bounds().max) << name;
    if (std::string(name) == "a.stl") continue;  // the shape alone
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

/// Two materials with everything that GLB and OBJ have a word for, on two sets of texture coordinates.
Mesh painted() {
  Mesh mesh = tetrahedron();
  mesh.colours.clear();
  mesh.uvs = {{0, 0}, {1, 0}, {0, 1}, {1, 1}};
  mesh.face_material = {0, 1, 1, 0};
  Image8 image(4, 4, 4);
  for (size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<uint8_t>(i % 4 == 3 ? 255 : 37 * i % 251);
  mesh.textures = {image, image};
  std::reverse(mesh.textures[1].pixels.begin(), mesh.textures[1].pixels.end());
  for (size_t i = 3; i < image.pixels.size(); i += 4) mesh.textures[1].pixels[i] = 255;
  mesh.materials.resize(2);
  Material &wood = mesh.materials[0], &steel = mesh.materials[1];
  wood.name = "wood", steel.name = "steel";
  wood.base_texture.texture = 0;
  wood.base_texture.wrap_u = wood.base_texture.wrap_v = Wrap::Clamp;
  wood.base_texture.transform << 2, 0, 0.25f, 0, 3, 0.5f;
  wood.roughness = 1, wood.roughness_texture.texture = 1, wood.roughness_texture.channel = 1;
  wood.metallic = 1, wood.metallic_texture.texture = 1, wood.metallic_texture.channel = 2;
  wood.normal_texture.texture = 1;
  steel.base_colour = Vec3f(0.25f, 0.5f, 0.75f);
  steel.metallic = 1, steel.roughness = 0.25f;
  steel.emission = Vec3f(0, 0.5f, 0);
  return mesh;
}

TEST(WriteMesh, MaterialsAndTexturesReadBack) {
  const Mesh mesh = painted();
  for (const char* name : {"m.glb", "m.obj"}) {
    const bool is_glb = std::string(name) == "m.glb";
    const auto paths = write_mesh(scratch(name), mesh);
    for (const std::string& path : paths) EXPECT_TRUE(std::filesystem::exists(path)) << path;
    EXPECT_EQ(paths.size(), is_glb ? 1u : 6u)
        << "OBJ, MTL, and images of colour, roughness, metallic, normals";
    ReadMeshOptions options;
    options.up = is_glb ? UpAxis::Y : UpAxis::Z;
    const Mesh again = read_mesh(scratch(name), options);
    ASSERT_EQ(again.materials.size(), 2u) << name;
    EXPECT_EQ(again.faces.size(), 4u);
    size_t w = again.materials[0].name.find("wood") != std::string::npos ? 0 : 1;
    const Material &wood = again.materials[w], &steel = again.materials[1 - w];
    EXPECT_EQ(std::count(again.face_material.begin(), again.face_material.end(), w), 2) << name;
    const auto texel = [&](const TextureSlot& slot, int channel) {
      return again.textures.at(static_cast<size_t>(slot.texture)).at(1, 2)[channel];
    };
    const uint8_t *base = mesh.textures[0].at(1, 2), *finish = mesh.textures[1].at(1, 2);
    for (int c = 0; c < 3; ++c) {
      EXPECT_EQ(texel(wood.base_texture, c), base[c]) << name;
      EXPECT_EQ(texel(wood.normal_texture, c), finish[c]) << name;
    }
    EXPECT_EQ(texel(wood.roughness_texture, wood.roughness_texture.channel), finish[1]) << name;
    EXPECT_EQ(texel(wood.metallic_texture, wood.metallic_texture.channel), finish[2]) << name;
    EXPECT_LT((wood.base_texture.transform - mesh.materials[0].base_texture.transform).norm(), 1e-5f) << name;
    EXPECT_EQ(wood.base_texture.wrap_u, Wrap::Clamp) << name;
    EXPECT_EQ(steel.base_colour, mesh.materials[1].base_colour) << name;
    EXPECT_EQ(steel.metallic, 1) << name;
    EXPECT_EQ(steel.roughness, 0.25f) << name;
    EXPECT_EQ(steel.emission, mesh.materials[1].emission) << name;
  }
}

TEST(WriteMesh, GlbNamesTheTangentsOfNormalTextures) {
  write_mesh(scratch("t.glb"), painted());
  std::ifstream in(scratch("t.glb"), std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  uint32_t n_json = 0;
  std::memcpy(&n_json, bytes.data() + 12, 4);
  const auto json = nlohmann::json::parse(bytes.substr(20, n_json));
  const auto& primitives = json["meshes"][0]["primitives"];
  ASSERT_EQ(primitives.size(), 2u);
  ASSERT_TRUE(primitives[0]["attributes"].contains("TANGENT"));
  EXPECT_FALSE(primitives[1]["attributes"].contains("TANGENT")) << "steel has no normal texture";
  const auto& accessor = json["accessors"][primitives[0]["attributes"]["TANGENT"].get<size_t>()];
  const auto offset = json["bufferViews"][accessor["bufferView"].get<size_t>()]["byteOffset"].get<size_t>();
  for (size_t v = 0; v < 4; ++v) {
    float t[4];
    std::memcpy(t, bytes.data() + 28 + n_json + offset + 16 * v, sizeof t);
    EXPECT_NEAR(t[0] * t[0] + t[1] * t[1] + t[2] * t[2], 1, 1e-5);
    EXPECT_EQ(std::abs(t[3]), 1);
  }
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
  EXPECT_THAT(message(tetrahedron(), scratch("d.off")),
              HasSubstr("written as .glb, .obj, .ply, .stl or .3mf"));
  std::ifstream in(path);
  EXPECT_EQ(std::string((std::istreambuf_iterator<char>(in)), {}), "old");
}

}  // namespace
}  // namespace t3d::io
