#include "t3d/io/read_mesh.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>

#include "t3d/core/error.h"
#include "tests/awkward_meshes.h"
#include "tests/support/temporary_folder.h"

namespace t3d::io {
namespace {

using ::testing::HasSubstr;
using testing::TemporaryFolder;
using testing::write_text;

const char* kSquare =
    "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nusemtl m\nf 1/1 2/2 3/3 4/4\n";

std::string message_of(const std::string& path, const ReadMeshOptions& options = {}) {
  try {
    read_mesh(path, options);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

/// Every mesh must be drawable as it is: finite, unit normals, no index out of range.
void expect_sound(const Mesh& mesh, const std::string& name) {
  ASSERT_EQ(mesh.normals.size(), mesh.positions.size()) << name;
  for (const auto& face : mesh.faces)
    for (const uint32_t corner : face) {
      ASSERT_LT(corner, mesh.positions.size()) << name;
      EXPECT_TRUE(mesh.positions[corner].allFinite()) << name;
      EXPECT_NEAR(mesh.normals[corner].norm(), 1.0f, 1e-4f) << name;
    }
  EXPECT_TRUE(mesh.uvs.empty() || mesh.uvs.size() == mesh.positions.size()) << name;
  EXPECT_TRUE(mesh.colours.empty() || mesh.colours.size() == mesh.positions.size()) << name;
}

TEST(ReadMesh, EveryAwkwardMeshLoadsOrExplains) {
  const TemporaryFolder folder;
  for (const auto& awkward : testing::awkward_meshes()) {
    const std::string path = folder / awkward.name;
    write_text(path, awkward.text);
    if (!awkward.message.empty()) {
      EXPECT_THAT(message_of(path), HasSubstr(awkward.message)) << awkward.name;
      continue;
    }
    try {
      const Mesh mesh = read_mesh(path);
      EXPECT_EQ(static_cast<int>(mesh.faces.size()), awkward.n_faces) << awkward.name;
      expect_sound(mesh, awkward.name);
    } catch (const Error& error) {
      ADD_FAILURE() << awkward.name << ": " << error.what();
    }
  }
}

TEST(ReadMesh, SkipsBadFacesOnRequest) {
  const TemporaryFolder folder;
  write_text(folder / "a.obj", std::string(kSquare) + "f 1 2 99\n");
  ReadMeshOptions options;
  options.skip_bad_faces = true;
  EXPECT_EQ(read_mesh(folder / "a.obj", options).faces.size(), 2u);
}

TEST(ReadMesh, TurnsYUpIntoZUpWithTheFrontAlongX) {
  const TemporaryFolder folder;
  write_text(folder / "a.obj", "v 1 2 3\nv 4 2 3\nv 1 5 3\nf 1 2 3\n");
  EXPECT_EQ(read_mesh(folder / "a.obj").positions[0], Vec3f(3, 1, 2));
  ReadMeshOptions options;
  options.up = UpAxis::Z;
  EXPECT_EQ(read_mesh(folder / "a.obj", options).positions[0], Vec3f(1, 2, 3));
}

TEST(ReadMesh, SmoothsBelowTheCreaseAngleAndKeepsEdgesAbove) {
  const TemporaryFolder folder;
  // Two triangles that share an edge: at 90 degrees, then nearly flat.
  write_text(folder / "edge.obj", "v 0 0 0\nv 0 0 1\nv 1 0 0\nv 0 1 0\nf 1 2 3\nf 2 1 4\n");
  EXPECT_EQ(read_mesh(folder / "edge.obj").positions.size(), 6u);
  write_text(folder / "flat.obj", "v 0 0 0\nv 0 0 1\nv 1 0 0\nv -1 .1 0\nf 1 2 3\nf 2 1 4\n");
  EXPECT_EQ(read_mesh(folder / "flat.obj").positions.size(), 4u);
}

TEST(ReadMesh, ReadsMaterialsAndTheirTextures) {
  const TemporaryFolder folder;
  Image8 texture(2, 2, 3);
  texture.at(0, 1)[0] = 200;
  write_png(folder / "t.png", texture);
  write_text(folder / "m.mtl", "newmtl m\nKd 0 0 0\nmap_Kd t.png\n");
  write_text(folder / "a.obj", cat("mtllib m.mtl\n", kSquare));
  const Mesh mesh = read_mesh(folder / "a.obj");
  ASSERT_EQ(mesh.textures.size(), 1u);
  EXPECT_EQ(mesh.textures[0].at(0, 1)[0], 200);
  EXPECT_EQ(mesh.materials[mesh.face_material[0]].base_texture.texture, 0);
  EXPECT_EQ(mesh.materials[mesh.face_material[0]].base_colour, Vec3f::Ones());
  // (u,v) = (0,0) is at the first vertex, the texture's lower left.
  const auto first = std::find(mesh.positions.begin(), mesh.positions.end(), Vec3f(0, 0, 0));
  EXPECT_EQ(mesh.uvs[static_cast<size_t>(first - mesh.positions.begin())], Vec2f(0, 0));
}

TEST(ReadMesh, SaysThatAMaterialLibraryIsMissing) {
  const TemporaryFolder folder;
  write_text(folder / "a.obj", cat("mtllib gone.mtl\nusemtl m\n", kSquare));
  ::testing::internal::CaptureStderr();
  const Mesh mesh = read_mesh(folder / "a.obj");
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("gone.mtl is not there"));
  EXPECT_EQ(mesh.faces.size(), 2u);

  write_text(folder / "gone.mtl", "newmtl m\nKd 1 0 0\n");
  ::testing::internal::CaptureStderr();
  read_mesh(folder / "a.obj");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST(ReadMesh, ExplainsTexturesThatAreMissingCutOrEnormous) {
  const TemporaryFolder folder;
  write_text(folder / "m.mtl", "newmtl m\nmap_Kd t.png\n");
  write_text(folder / "a.obj", cat("mtllib m.mtl\n", kSquare));
  ReadMeshOptions strict;
  strict.strict = true;
  EXPECT_THAT(message_of(folder / "a.obj", strict), HasSubstr("there is no 't.png'"));
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(message_of(folder / "a.obj"), "no error");
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("there is no 't.png'"));

  write_png(folder / "t.png", Image8(64, 64, 3));
  const std::string whole = testing::read_text(folder / "t.png");
  write_text(folder / "t.png", whole.substr(0, whole.size() / 2));
  EXPECT_THAT(message_of(folder / "a.obj"), HasSubstr("t.png"));

  std::string wide = whole;  // IHDR's width becomes 100,000
  wide.replace(16, 4, std::string("\x00\x01\x86\xA0", 4));
  const uLong sum = crc32(0, reinterpret_cast<const Bytef*>(wide.data()) + 12, 17);
  for (int i = 0; i < 4; ++i) wide[static_cast<size_t>(29 + i)] = static_cast<char>(sum >> (24 - 8 * i));
  write_text(folder / "t.png", wide);
  EXPECT_THAT(message_of(folder / "a.obj"), HasSubstr("100000"));

  ReadMeshOptions options;
  options.load_textures = false;
  EXPECT_EQ(message_of(folder / "a.obj", options), "no error");
}

TEST(ReadMesh, AppliesGltfNodesAndReadsLinearColours) {
  const TemporaryFolder folder;
  // One triangle (0,0,0) (1,0,0) (0,1,0), colours 0.2140 (sRGB 0.5), moved by (0,0,2) by its node.
  write_text(folder / "a.gltf", R"({"asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}],
    "nodes": [{"mesh": 0, "translation": [0, 0, 2]}],
    "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "COLOR_0": 1}}]}],
    "accessors": [
      {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3", "min": [0,0,0], "max": [1,1,0]},
      {"bufferView": 1, "componentType": 5126, "count": 3, "type": "VEC3"}],
    "bufferViews": [{"buffer": 0, "byteLength": 36}, {"buffer": 0, "byteOffset": 36, "byteLength": 36}],
    "buffers": [{"byteLength": 72, "uri": "data:application/octet-stream;base64,)"
                                "AAAAAAAAAAAAAAAAAACAPwAAAAAAAAAAAAAAAAAAgD8AAAAA"
                                "yR9bPskfWz7JH1s+yR9bPskfWz7JH1s+yR9bPskfWz7JH1s+"
                                R"("}]})");
  const Mesh mesh = read_mesh(folder / "a.gltf");
  ASSERT_EQ(mesh.positions.size(), 3u);
  for (const auto& p : mesh.positions) EXPECT_FLOAT_EQ(p.x(), 2.0f);
  ASSERT_EQ(mesh.colours.size(), 3u);
  EXPECT_NEAR(mesh.colours[0].x(), 0.5f, 1e-3f);
}

TEST(ReadMesh, GoesOnWithoutAMissingTextureOfAGltf) {
  const TemporaryFolder folder;
  write_text(folder / "a.gltf", R"({"asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}],
    "nodes": [{"mesh": 0}], "images": [{"uri": "gone.png"}], "textures": [{"source": 0}],
    "materials": [{"pbrMetallicRoughness": {"baseColorFactor": [1, 0.5, 0, 1], "baseColorTexture": {"index": 0}}}],
    "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "material": 0}]}],
    "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3", "min": [0,0,0], "max": [1,1,0]}],
    "bufferViews": [{"buffer": 0, "byteLength": 36}],
    "buffers": [{"byteLength": 36, "uri": "data:application/octet-stream;base64,)"
                                "AAAAAAAAAAAAAAAAAACAPwAAAAAAAAAAAAAAAAAAgD8AAAAA"
                                R"("}]})");
  ::testing::internal::CaptureStderr();
  const Mesh mesh = read_mesh(folder / "a.gltf");
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("gone.png"));
  EXPECT_FALSE(mesh.materials[mesh.face_material[0]].base_texture.is_set());
  EXPECT_EQ(mesh.materials[mesh.face_material[0]].base_colour, Vec3f(1, .5f, 0));
  ReadMeshOptions strict;
  strict.strict = true;
  EXPECT_THROW(read_mesh(folder / "a.gltf", strict), SystemError);
}

TEST(ReadMesh, NamesWhatStandsInPlaceOfAMesh) {
  const TemporaryFolder folder;
  for (const char* name : {"a.obj", "a.ply", "a.stl", "a.glb", "a.off"}) {
    write_text(folder / name, "version https://git-lfs.github.com/spec/v1\noid sha256:0\n");
    EXPECT_THAT(message_of(folder / name), HasSubstr("git lfs pull")) << name;
    write_text(folder / name, "<!DOCTYPE html><html>");
    EXPECT_THAT(message_of(folder / name), HasSubstr("web page")) << name;
  }
  write_text(folder / "a.splat", "0");
  EXPECT_THAT(message_of(folder / "a.splat"), HasSubstr("Gaussian splat"));
}

TEST(ReadMesh, ExplainsFilesThatAreNotThere) {
  const TemporaryFolder folder;
  EXPECT_THAT(message_of(folder / "no.obj"), HasSubstr("no such file"));
  EXPECT_THAT(message_of(folder / "no.glb"), HasSubstr("no such file"));
  EXPECT_THROW(read_mesh(folder / "nowhere"), SystemError);
  write_text(folder / "a.docx", "a");
  EXPECT_THAT(message_of(folder / "a.docx"), HasSubstr("expected .obj, .glb"));
}

/// The inputs of public bug reports, where they lie beside the checkout.
TEST(ReadMesh, ReadsCasesFromTheField) {
  const std::string cases = std::string(T3D_SOURCE_DIR) + "/../shared/cases/";
  if (!std::filesystem::exists(cases)) GTEST_SKIP() << cases << " is not there";
  for (const char* name :
       {"01-mtl-map-options/c.obj", "01c-mtl-map-scale/c.obj", "02b-mtl-absolute-windows/c.obj",
        "06-utf8-bom/c.obj", "10b-tr1-only/c.obj", "16-mtl-in-folder/c.obj", "17-ply-wedge-uv/c.ply"}) {
    SCOPED_TRACE(name);
    const Mesh mesh = read_mesh(cases + name);
    ASSERT_EQ(mesh.faces.size(), 12u);
    ASSERT_EQ(mesh.textures.size(), 1u);
    const Material& m = mesh.materials[mesh.face_material[0]];
    EXPECT_TRUE(m.base_texture.is_set());
    EXPECT_EQ(m.opacity, 1);
    EXPECT_EQ(mesh.positions.size(), 24u);  // every side its own four corners
  }
  for (const char* name :
       {"12-vertex-colours-01/c.obj", "12c-vertex-colours-rgba/c.obj", "12d-obj-white-colours/c.obj"}) {
    SCOPED_TRACE(name);
    const Mesh mesh = read_mesh(cases + name);
    ASSERT_EQ(mesh.colours.size(), mesh.positions.size());
    EXPECT_EQ(mesh.materials[0].base_colour, Vec3f::Ones());
  }
}

}  // namespace
}  // namespace t3d::io
