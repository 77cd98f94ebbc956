#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "t3d/core/error.h"
#include "t3d/io/gltf/read_gltf.h"
#include "tests/support/format_table.h"
#include "tests/support/gltf_builder.h"
#include "tests/support/temporary_folder.h"

#ifdef T3D_HAS_MESHOPTIMIZER
#include <meshoptimizer.h>
#endif

namespace t3d::io::gltf {
namespace {

using testing::FormatCase;
using testing::GltfBuilder;
using ::testing::HasSubstr;
using testing::TemporaryFolder;
using Json = GltfBuilder::Json;

constexpr float kPi = 3.14159265f;

/// The axes of the file are kept.
Mesh read(const GltfBuilder& file) {
  ReadMeshOptions options;
  options.up = UpAxis::Z;
  return read_gltf_bytes(file.glb(), "a.glb", options);
}

std::string refusal(const GltfBuilder& file) {
  try {
    read(file);
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

std::string said(const GltfBuilder& file) {
  ::testing::internal::CaptureStderr();
  read(file);
  return ::testing::internal::GetCapturedStderr();
}

std::string one_pixel(std::vector<uint8_t> rgba = {255, 255, 255, 255}) {
  return GltfBuilder::png(1, 1, rgba);
}

void expect_box(const Mesh& mesh, const Vec3f& min, const Vec3f& max) {
  const Box3f box = mesh.bounds();
  EXPECT_LT((box.min - min).norm(), 2e-4f) << box.min.transpose();
  EXPECT_LT((box.max - max).norm(), 2e-4f) << box.max.transpose();
}

/// Corner 0 of the first face that lies at `position`.
size_t vertex_at(const Mesh& mesh, const Vec3f& position) {
  for (size_t i = 0; i < mesh.positions.size(); ++i)
    if ((mesh.positions[i] - position).norm() < 1e-3f) return i;
  ADD_FAILURE() << "no vertex at " << position.transpose();
  return 0;
}

/// Where the base colour's texture is read for the square's corner (0, 0), whose own coordinates are (0, 0).
Vec2f textured_corner(const Mesh& mesh, const Vec3f& position = Vec3f::Zero()) {
  const TextureSlot& slot = mesh.materials[0].base_texture;
  EXPECT_TRUE(slot.is_set());
  return slot.transformed(mesh.uv_set(slot.uv_set)[vertex_at(mesh, position)]);
}

void expect_near(const Vec2f& found, const Vec2f& expected) {
  EXPECT_LT((found - expected).norm(), 1e-4f) << found.transpose();
}

GltfBuilder textured(const Json& info = Json::object(), const Json& sampler = nullptr) {
  GltfBuilder file;
  Json slot = info;
  slot["index"] = file.add_texture(one_pixel(), "image/png", sampler);
  file.material()["pbrMetallicRoughness"]["baseColorTexture"] = slot;
  return file;
}

Json transform(const Json& members) {
  return {{"extensions", {{"KHR_texture_transform", members}}}};
}

std::vector<FormatCase> file_cases() {
  return {
      {"GLB with its binary chunk, glTF with a `data:` URI (base64 or percent-encoded)", "read",
       [] {
         const GltfBuilder file;
         expect_box(read(file), {0, 0, 0}, {1, 1, 0});
         std::string encoded = "data:application/octet-stream,";
         for (const char c : file.bytes) {
           char digits[4];
           std::snprintf(digits, sizeof digits, "%%%02x", static_cast<unsigned char>(c));
           encoded += digits;
         }
         ReadMeshOptions options;
         options.up = UpAxis::Z;
         expect_box(read_gltf_bytes(file.gltf(encoded), "a.gltf", options), {0, 0, 0}, {1, 1, 0});
       }},
      {"buffer and image files whose URIs are percent-encoded (`my%20data.bin`), or hold blanks or percent "
       "signs as they are",
       "opened",
       [] {
         const TemporaryFolder folder;
         for (const char* name : {"my%20data.bin", "my data.bin", "100%.bin", "%C3%A9.bin"}) {
           GltfBuilder file;
           const std::string decoded = std::string(name) == "my%20data.bin" ? "my data.bin"
                                       : std::string(name) == "%C3%A9.bin"  ? "\xC3\xA9.bin"
                                                                            : name;
           testing::write_text(folder / decoded, file.bytes);
           testing::write_text(folder / "t 1.png", one_pixel());
           file.json["images"] = Json::parse(R"([{"uri": "t%201.png"}])");
           file.json["textures"] = Json::parse(R"([{"source": 0}])");
           file.material()["pbrMetallicRoughness"]["baseColorTexture"]["index"] = 0;
           testing::write_text(folder / "a.gltf", file.gltf(name));
           const Mesh mesh = read_mesh(folder / "a.gltf");
           EXPECT_EQ(mesh.textures.size(), 1u) << name;
         }
       }},
      {"glTF 1.0", "refused",
       [] {
         GltfBuilder file;
         file.json["asset"]["version"] = "1.0";
         EXPECT_THAT(refusal(file), HasSubstr("glTF 1.0"));
       }},
      {"`extensionsRequired` with one that is not read (KHR_draco_mesh_compression, KHR_texture_basisu, any "
       "other)",
       "refused before anything else: names it",
       [] {
         for (const char* name : {"KHR_draco_mesh_compression", "KHR_texture_basisu", "ACME_folded_space"}) {
           GltfBuilder file;
           file.json["extensionsRequired"] = {name};
           file.json["meshes"] = "broken";
           EXPECT_THAT(refusal(file), HasSubstr(name));
         }
       }},
      {"materials of an extension that changes the look and is not read (KHR_materials_transmission, "
       "_clearcoat, "
       "_sheen, ...)",
       "drawn without it; one warning names them",
       [] {
         GltfBuilder file;
         file.json["extensionsUsed"] = {"KHR_materials_sheen", "KHR_materials_transmission",
                                        "KHR_texture_transform"};
         const std::string text = said(file);
         EXPECT_THAT(text, HasSubstr("KHR_materials_sheen, KHR_materials_transmission"));
         EXPECT_THAT(text, ::testing::Not(HasSubstr("KHR_texture_transform")));
       }},
      {"several scenes", "the one that `scene` names, else the first; said",
       [] {
         GltfBuilder file;
         file.json["nodes"] = Json::parse(R"([{"mesh": 0}, {"mesh": 0, "translation": [5, 0, 0]}])");
         file.json["scenes"] = Json::parse(R"([{"nodes": [0]}, {"nodes": [1]}])");
         expect_box(read(file), {0, 0, 0}, {1, 1, 0});
         file.json["scene"] = 1;
         expect_box(read(file), {5, 0, 0}, {6, 1, 0});
         file.json.erase("scene");
         expect_box(read(file), {0, 0, 0}, {1, 1, 0});
         file.json.erase("scenes");  // all nodes
         expect_box(read(file), {0, 0, 0}, {6, 1, 0});
         file.json.erase("nodes");  // all meshes
         expect_box(read(file), {0, 0, 0}, {1, 1, 0});
       }},
  };
}

std::vector<FormatCase> node_cases() {
  return {
      {"nodes with `matrix`, or translation, rotation and scale, inside each other", "applied",
       [] {
         GltfBuilder file;
         file.json["nodes"] = Json::parse(R"([
           {"children": [1], "matrix": [2,0,0,0, 0,2,0,0, 0,0,2,0, 1,0,0,1]},
           {"mesh": 0, "rotation": [0, 0, 0.70710678, 0.70710678], "translation": [0, 0, 3]}])");
         expect_box(read(file), {-1, 0, 6}, {1, 2, 6});
       }},
      {"a node scaled by -1", "faces keep their outer side",
       [] {
         GltfBuilder file;
         file.node()["scale"] = {-1, 1, 1};
         const Mesh mesh = read(file);
         expect_box(mesh, {-1, 0, 0}, {0, 1, 0});
         for (const auto& f : mesh.faces) {
           const Vec3f n = (mesh.positions[f[1]] - mesh.positions[f[0]])
                               .cross(mesh.positions[f[2]] - mesh.positions[f[0]]);
           EXPECT_GT(n.z(), 0);
           EXPECT_GT(mesh.normals[f[0]].z(), 0.99f);
         }
       }},
      {"a node inside itself, or with two parents", "refused",
       [] {
         GltfBuilder file;
         file.json["nodes"] = Json::parse(R"([{"mesh": 0, "children": [1]}, {"children": [0]}])");
         EXPECT_THAT(refusal(file), HasSubstr("its own ancestor"));
         file.json["nodes"] = Json::parse(R"([{"children": [2]}, {"children": [2]}, {"mesh": 0}])");
         EXPECT_THAT(refusal(file), HasSubstr("child of node 0 already"));
       }},
      {"EXT_mesh_gpu_instancing", "every instance",
       [] {
         GltfBuilder file;
         file.json["extensionsRequired"] = {"EXT_mesh_gpu_instancing"};
         const int moves = file.add<float>({0, 0, 0, 3, 0, 0}, GltfBuilder::kFloat, "VEC3");
         const int turns = file.add<int8_t>({0, 0, 0, 127, 0, 0, 90, 90}, GltfBuilder::kByte, "VEC4", true);
         file.node()["extensions"]["EXT_mesh_gpu_instancing"]["attributes"] = {{"TRANSLATION", moves},
                                                                               {"ROTATION", turns}};
         file.node()["translation"] = {0, 0, 1};
         const Mesh mesh = read(file);
         EXPECT_EQ(mesh.faces.size(), 4u);
         expect_box(mesh, {0, 0, 1}, {3, 1, 1});
       }},
      {"KHR_node_visibility", "hidden nodes and what is in them are left out",
       [] {
         GltfBuilder file;
         file.json["nodes"] = Json::parse(R"([{"mesh": 0, "children": [1]},
           {"children": [2], "extensions": {"KHR_node_visibility": {"visible": false}}},
           {"mesh": 0, "translation": [9, 0, 0]}])");
         expect_box(read(file), {0, 0, 0}, {1, 1, 0});
       }},
      {"skins (any number of JOINTS_n, inverse bind matrices or none)",
       "at rest, by their joints alone: the mesh's own node does not count",
       [] {
         GltfBuilder file;
         file.json["nodes"] = Json::parse(R"([{"children": [1, 2], "translation": [0, 10, 0]},
           {"mesh": 0, "skin": 0, "scale": [7, 7, 7]}, {"children": [3]}, {"translation": [0, 2, 0]}])");
         file.attribute("JOINTS_0") = file.add<uint8_t>({0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0},
                                                        GltfBuilder::kUnsignedByte, "VEC4");
         file.attribute("WEIGHTS_0") =
             file.add<uint8_t>({255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0},
                               GltfBuilder::kUnsignedByte, "VEC4", true);
         file.json["skins"] = Json::parse(R"([{"joints": [2, 3]}])");
         expect_box(read(file), {0, 10, 0}, {1, 13, 0});  // the upper corners hang on the second joint

         std::vector<float> bind(32, 0.0f);
         for (size_t i = 0; i < 32; i += 5) bind[i == 20 ? 21 : i] = 1;
         bind = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0,  0, 1,
                 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, -1, 0, 1};
         file.json["skins"][0]["inverseBindMatrices"] = file.add<float>(bind, GltfBuilder::kFloat, "MAT4");
         expect_box(read(file), {0, 10, 0}, {1, 12, 0});

         file.attribute("JOINTS_0") = file.add<uint16_t>({9, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0},
                                                         GltfBuilder::kUnsignedShort, "VEC4");
         EXPECT_THAT(refusal(file), HasSubstr("hangs on joint 9 but its skin has 2"));
       }},
      {"morph targets", "by the node's weights, else the mesh's; at rest without either",
       [] {
         GltfBuilder file;
         const int up = file.add<float>({0, 0, 2, 0, 0, 2, 0, 0, 2, 0, 0, 2}, GltfBuilder::kFloat, "VEC3");
         file.primitive()["targets"] = Json::array({{{"POSITION", up}}});
         expect_box(read(file), {0, 0, 0}, {1, 1, 0});
         file.json["meshes"][0]["weights"] = {0.5};
         expect_box(read(file), {0, 0, 1}, {1, 1, 1});
         file.node()["weights"] = {1.5};
         expect_box(read(file), {0, 0, 3}, {1, 1, 3});
       }},
  };
}

std::vector<FormatCase> geometry_cases() {
  return {
      {"KHR_mesh_quantization: positions, normals and texture coordinates of 8 or 16 bits", "read",
       [] {
         GltfBuilder file;
         file.json["extensionsRequired"] = {"KHR_mesh_quantization"};
         const std::string shorts =
             GltfBuilder::packed<uint16_t>({0, 0, 0, 0, 100, 0, 0, 0, 100, 100, 0, 0, 0, 100, 0, 0});
         file.attribute("POSITION") =
             file.add_accessor(file.add_view(shorts, 8), GltfBuilder::kUnsignedShort, 4, "VEC3");
         const std::string bytes =
             GltfBuilder::packed<int8_t>({0, 0, 127, 9, 0, 0, 127, 9, 0, 0, 127, 9, 0, 0, 127, 9});
         file.attribute("NORMAL") =
             file.add_accessor(file.add_view(bytes, 4), GltfBuilder::kByte, 4, "VEC3", true);
         file.node()["scale"] = {0.01, 0.01, 0.01};
         const Mesh mesh = read(file);
         expect_box(mesh, {0, 0, 0}, {1, 1, 0});
         EXPECT_GT(mesh.normals[0].z(), 0.99f);
         file.attribute("POSITION") = file.add<int8_t>(
             {-127, -127, 0, 127, -127, 0, 127, 127, 0, -127, 127, 0}, GltfBuilder::kByte, "VEC3", true);
         expect_box(read(file), {-0.01f, -0.01f, 0}, {0.01f, 0.01f, 0});
       }},
#ifdef T3D_HAS_MESHOPTIMIZER
      {"EXT_meshopt_compression (attributes, triangles, filters)", "decompressed",
       [] {
         GltfBuilder file;
         file.json["extensionsRequired"] = {"EXT_meshopt_compression"};
         const std::vector<float> corners = {0, 0, 0, 4, 0, 0, 4, 4, 0, 0, 4, 0};
         std::string packed(meshopt_encodeVertexBufferBound(4, 12), '\0');
         packed.resize(meshopt_encodeVertexBuffer(reinterpret_cast<unsigned char*>(packed.data()),
                                                  packed.size(), corners.data(), 4, 12));
         const int view = file.add_view(packed);
         Json& place = file.json["bufferViews"][static_cast<size_t>(view)];
         place["extensions"]["EXT_meshopt_compression"] = {{"buffer", 0},
                                                           {"byteOffset", place["byteOffset"]},
                                                           {"byteLength", packed.size()},
                                                           {"byteStride", 12},
                                                           {"count", 4},
                                                           {"mode", "ATTRIBUTES"}};
         place["byteLength"] = 48;
         place["buffer"] = 1;  // what stands in for it in readers without the extension
         file.json["buffers"].push_back(Json::parse(R"({"byteLength": 48})"));
         file.attribute("POSITION") = file.add_accessor(view, GltfBuilder::kFloat, 4, "VEC3");
         expect_box(read(file), {0, 0, 0}, {4, 4, 0});
         for (const char* key : {"count", "byteStride", "byteLength"}) {
           GltfBuilder broken = file;
           broken
               .json["bufferViews"][static_cast<size_t>(view)]["extensions"]["EXT_meshopt_compression"][key] =
               1000000;
           EXPECT_THAT(refusal(broken), HasSubstr("EXT_meshopt_compression")) << key;
         }
       }},
#endif
      {"sparse accessors, with or without data underneath", "read",
       [] {
         GltfBuilder file;
         const int where = file.add_view(GltfBuilder::packed<uint8_t>({2})),
                   value = file.add_view(GltfBuilder::packed<float>({8, 9, 0}));
         Json sparse = {{"count", 1},
                        {"indices", {{"bufferView", where}, {"componentType", 5121}}},
                        {"values", {{"bufferView", value}}}};
         const size_t positions = file.attribute("POSITION").get<size_t>();
         file.json["accessors"][positions]["sparse"] = sparse;
         expect_box(read(file), {0, 0, 0}, {8, 9, 0});
         const int zeros = file.add_accessor(-1, GltfBuilder::kFloat, 4, "VEC3");
         file.json["accessors"][static_cast<size_t>(zeros)]["sparse"] = sparse;
         file.primitive()["targets"] = Json::array({{{"POSITION", zeros}}});
         file.node()["weights"] = {1};
         expect_box(read(file), {0, 0, 0}, {16, 18, 0});
         file.json["accessors"][positions]["sparse"]["indices"]["byteOffset"] = 4;
         EXPECT_THAT(refusal(file), HasSubstr("sparse.indices"));
       }},
      {"indices of 8, 16 or 32 bits, or none; triangle lists, strips and fans", "read",
       [] {
         GltfBuilder file;
         const auto faces = [&file] {
           double area = 0;
           const Mesh mesh = read(file);
           for (const auto& f : mesh.faces)
             area += (mesh.positions[f[1]] - mesh.positions[f[0]])
                         .cross(mesh.positions[f[2]] - mesh.positions[f[0]])
                         .z() /
                     2;
           return area;
         };
         file.primitive()["indices"] =
             file.add<uint8_t>({0, 1, 2, 0, 2, 3}, GltfBuilder::kUnsignedByte, "SCALAR");
         EXPECT_NEAR(faces(), 1, 1e-6);
         file.primitive()["indices"] =
             file.add<uint16_t>({0, 1, 3, 2}, GltfBuilder::kUnsignedShort, "SCALAR");
         file.primitive()["mode"] = 5;
         EXPECT_NEAR(faces(), 1, 1e-6);
         file.primitive()["indices"] =
             file.add<uint16_t>({0, 1, 2, 3}, GltfBuilder::kUnsignedShort, "SCALAR");
         file.primitive()["mode"] = 6;
         EXPECT_NEAR(faces(), 1, 1e-6);
         file.primitive().erase("indices");
         EXPECT_NEAR(faces(), 1, 1e-6);
         file.primitive()["mode"] = 4;  // the first three of four vertices
         EXPECT_NEAR(faces(), 0.5, 1e-6);
         EXPECT_THAT(said(file), HasSubstr("1 indices that make no whole triangle"));
       }},
      {"points and lines", "left out",
       [] {
         GltfBuilder file;
         Json lines = file.primitive();
         lines["mode"] = 1;
         file.json["meshes"][0]["primitives"].push_back(lines);
         EXPECT_EQ(read(file).faces.size(), 2u);
         file.json["meshes"][0]["primitives"].erase(0);
         EXPECT_THAT(refusal(file), HasSubstr("no face"));
       }},
      {"COLOR_0 of 3 or 4 numbers (8 or 16 bits, or floats)",
       "linear; multiplies the base colour, its alpha the opacity",
       [] {
         const auto check = [](const GltfBuilder& file, bool has_alpha) {
           const Mesh mesh = read(file);
           ASSERT_EQ(mesh.colours.size(), mesh.positions.size());
           EXPECT_NEAR(mesh.colours[0].x(), 0.735f, 0.005f);  // sRGB of 0.5
           EXPECT_TRUE(mesh.linear_colours);
           EXPECT_TRUE(mesh.materials[0].uses_vertex_colours);
           ASSERT_EQ(mesh.alphas.size(), has_alpha ? mesh.positions.size() : 0);
           if (has_alpha) {
             EXPECT_NEAR(mesh.alphas[0], 0.25f, 0.01f);
           }
         };
         GltfBuilder file;
         file.attribute("COLOR_0") =
             file.add<float>({.5, 0, 0, .5, 0, 0, .5, 0, 0, .5, 0, 0}, GltfBuilder::kFloat, "VEC3");
         check(file, false);
         file.attribute("COLOR_0") = file.add<float>(
             {.5, 0, 0, .25, .5, 0, 0, .25, .5, 0, 0, .25, .5, 0, 0, .25}, GltfBuilder::kFloat, "VEC4");
         check(file, true);
         file.attribute("COLOR_0") =
             file.add<uint8_t>({128, 0, 0, 64, 128, 0, 0, 64, 128, 0, 0, 64, 128, 0, 0, 64},
                               GltfBuilder::kUnsignedByte, "VEC4", true);
         check(file, true);
         const std::vector<uint16_t> shorts = {32768, 0, 0, 32768, 0, 0, 32768, 0, 0, 32768, 0, 0};
         file.attribute("COLOR_0") = file.add<uint16_t>(shorts, GltfBuilder::kUnsignedShort, "VEC3", true);
         check(file, false);
         file.attribute("COLOR_0") =
             file.add<uint16_t>(shorts, GltfBuilder::kUnsignedShort, "VEC3");  // "normalized" forgotten
         check(file, false);
       }},
      {"primitives that share one list of vertices, in part", "only what they use is taken",
       [] {
         GltfBuilder file;
         file.primitive()["indices"] = file.add<uint8_t>({0, 1, 2}, GltfBuilder::kUnsignedByte, "SCALAR");
         EXPECT_EQ(read(file).positions.size(), 3u);
       }},
      {"no normals", "made, with creases of 60 degrees",
       [] {
         GltfBuilder file;
         file.primitive()["attributes"].erase("NORMAL");
         EXPECT_GT(read(file).normals[0].z(), 0.99f);
       }},
      {"numbers outside their buffer, indices past the vertices, attributes of other lengths",
       "refused: names the entry",
       [] {
         const auto broken = [](const char* list, const char* key, Json value) {
           GltfBuilder file;
           file.json[list][0][key] = value;
           return refusal(file);
         };
         for (const Json& count : {Json(5), Json(4294967295u), Json(18446744073709551615u)})
           EXPECT_THAT(broken("accessors", "count", count), HasSubstr("accessors[0]"));
         for (const Json& offset : {Json(4), Json(18446744073709551615u), Json(-1), Json(0.5), Json("0")})
           EXPECT_THAT(broken("accessors", "byteOffset", offset), HasSubstr("accessors[0]"));
         for (const char* key : {"byteOffset", "byteLength"})
           EXPECT_THAT(broken("bufferViews", key, 18446744073709551615u), HasSubstr("bufferViews[0]"));
         EXPECT_THAT(broken("bufferViews", "buffer", 1), HasSubstr("bufferViews[0].buffer"));
         EXPECT_THAT(broken("accessors", "componentType", 5124), HasSubstr("componentType"));
         EXPECT_THAT(broken("nodes", "mesh", 1), HasSubstr("nodes[0].mesh"));
         GltfBuilder file;
         file.primitive()["indices"] = file.add<uint32_t>({0, 1, 4}, GltfBuilder::kUnsignedInt, "SCALAR");
         EXPECT_THAT(refusal(file), HasSubstr("face 0 refers to vertex 4 but the primitive has 4"));
         file.primitive()["indices"] = file.attribute("POSITION");
         EXPECT_THAT(refusal(file), HasSubstr("where indices are expected"));
         GltfBuilder uneven;
         uneven.attribute("NORMAL") = uneven.add<float>({0, 0, 1}, GltfBuilder::kFloat, "VEC3");
         EXPECT_THAT(refusal(uneven), HasSubstr("has 1 elements where POSITION has 4"));
       }},
      {"NaN and infinities in positions", "those faces are left out, counted in a warning",
       [] {
         GltfBuilder file;
         file.attribute("POSITION") =
             file.add<float>({0, 0, 0, 1, 0, 0, 1, 1, 0, 0, NAN, 0}, GltfBuilder::kFloat, "VEC3");
         EXPECT_EQ(read(file).faces.size(), 1u);
         EXPECT_THAT(said(file), HasSubstr("1 face with a vertex that is not finite"));
       }},
  };
}

std::vector<FormatCase> texture_cases() {
  return {
      {"`texCoord`, in a texture or in its KHR_texture_transform", "that set (four different ones at most)",
       [] {
         for (const Json& info : {Json{{"texCoord", 1}}, transform({{"texCoord", 1}})}) {
           GltfBuilder file = textured(info);
           file.attribute("TEXCOORD_1") = file.attribute("TEXCOORD_0");
           file.attribute("TEXCOORD_0") =
               file.add<float>({9, 9, 9, 9, 9, 9, 9, 9}, GltfBuilder::kFloat, "VEC2");
           expect_near(textured_corner(read(file)), {0, 0});
           file.material()["emissiveTexture"]["index"] = 0;
           const Mesh both = read(file);
           const TextureSlot& emission = both.materials[0].emission_texture;
           expect_near(both.uv_set(emission.uv_set)[0], {9, -8});
           expect_near(textured_corner(both), {0, 0});
         }
       }},
      {"texture coordinates of 8 or 16 bits", "read",
       [] {
         GltfBuilder file = textured();
         file.attribute("TEXCOORD_0") =
             file.add<uint8_t>({0, 255, 255, 255, 255, 0, 0, 0}, GltfBuilder::kUnsignedByte, "VEC2", true);
         expect_near(textured_corner(read(file), {1, 1, 0}), {1, 1});
         file.attribute("TEXCOORD_0") = file.add<uint16_t>({0, 65535, 65535, 65535, 65535, 0, 0, 0},
                                                           GltfBuilder::kUnsignedShort, "VEC2", true);
         expect_near(textured_corner(read(file), {1, 0, 0}), {1, 0});
       }},
      {"KHR_texture_transform: offset, rotation, scale", "applied",
       [] {
         // The lower left corner is (0, 1) in the file, where v counts from the top.
         expect_near(textured_corner(read(textured(transform({{"offset", {0.5, 0.25}}})))), {0.5f, -0.25f});
         expect_near(textured_corner(read(textured(transform({{"scale", {2, 3}}}))), {1, 0, 0}), {2, 1 - 3});
         // Counter-clockwise to the eye: (0, 1), which points down, comes to point right.
         expect_near(textured_corner(read(textured(transform({{"rotation", kPi / 2}})))), {1, 1});
         // The extension's own example: the lower left quadrant, turned clockwise.
         const Mesh mesh =
             read(textured(transform({{"offset", {0, 1}}, {"rotation", kPi / 2}, {"scale", {0.5, 0.5}}})));
         expect_near(textured_corner(mesh, {0, 1, 0}), {0, 0});
         expect_near(textured_corner(mesh, {0, 0, 0}), {0.5f, 0});
         expect_near(textured_corner(mesh, {1, 1, 0}), {0, 0.5f});
       }},
      {"samplers: repeated, mirrored, clamped by side; nearest or linear", "followed",
       [] {
         const Mesh mesh = read(textured({}, {{"wrapS", 33071}, {"wrapT", 33648}, {"magFilter", 9728}}));
         const TextureSlot& slot = mesh.materials[0].base_texture;
         EXPECT_EQ(slot.wrap_u, Wrap::Clamp);
         EXPECT_EQ(slot.wrap_v, Wrap::Mirror);
         EXPECT_EQ(slot.filter, Filter::Nearest);
         const Mesh plain = read(textured({}, {{"magFilter", 9729}, {"minFilter", 9984}}));
         EXPECT_EQ(plain.materials[0].base_texture.wrap_u, Wrap::Repeat);
         EXPECT_EQ(plain.materials[0].base_texture.filter, Filter::Linear);
         EXPECT_THAT(refusal(textured({}, {{"wrapS", 7}})), HasSubstr("wrapS is 7"));
       }},
      {"base colour, metallic-roughness, emission, occlusion: factor and texture", "multiplied",
       [] {
         GltfBuilder file = textured();
         for (const char* slot : {"emissiveTexture", "occlusionTexture", "normalTexture"})
           file.material()[slot]["index"] = 0;
         file.material()["occlusionTexture"]["strength"] = 0.5;
         file.material()["normalTexture"]["scale"] = 2;
         file.material()["emissiveFactor"] = {0.5, 1, 0};
         Json& pbr = file.material()["pbrMetallicRoughness"];
         pbr["baseColorFactor"] = {0.5, 0.25, 1, 0.5};
         pbr["metallicRoughnessTexture"]["index"] = 0;
         pbr["roughnessFactor"] = 0.5;
         const Material m = read(file).materials[0];
         EXPECT_EQ(m.base_colour, Vec3f(0.5f, 0.25f, 1));
         EXPECT_EQ(m.opacity, 0.5f);
         EXPECT_EQ(m.metallic, 1);
         EXPECT_EQ(m.metallic_texture.channel, 2);
         EXPECT_EQ(m.roughness, 0.5f);
         EXPECT_EQ(m.roughness_texture.channel, 1);
         EXPECT_EQ(m.emission, Vec3f(0.5f, 1, 0));
         EXPECT_EQ(m.occlusion_strength, 0.5f);
         EXPECT_EQ(m.normal_scale, 2);
         for (const TextureSlot* slot : {&m.base_texture, &m.metallic_texture, &m.roughness_texture,
                                         &m.emission_texture, &m.occlusion_texture, &m.normal_texture})
           EXPECT_EQ(slot->texture, 0);
       }},
      {"images in a buffer view, in a `data:` URI or in a file; one image in several textures", "read once",
       [] {
         GltfBuilder file = textured();
         file.json["textures"].push_back({{"source", 0}});
         file.material()["emissiveTexture"]["index"] = 1;
         EXPECT_EQ(read(file).textures.size(), 1u);
         file.json["images"][0] = {{"uri", GltfBuilder::data_uri(one_pixel({7, 8, 9, 255}), "image/png")}};
         EXPECT_EQ(read(file).textures[0].at(0, 0)[2], 9);
       }},
      {"KTX2, DDS or AVIF images (KHR_texture_basisu, ...) beside PNG, or alone",
       "the PNG; refused: names the kind",
       [] {
         GltfBuilder file = textured();
         file.json["textures"][0]["extensions"]["KHR_texture_basisu"]["source"] = 1;
         EXPECT_EQ(read(file).textures.size(), 1u);
         file.json["textures"][0].erase("source");
         EXPECT_THAT(refusal(file), HasSubstr("KHR_texture_basisu"));
         GltfBuilder mislabelled;
         mislabelled.material()["emissiveTexture"]["index"] =
             mislabelled.add_texture("\xABKTX 20\xBB\r\n\x1A\n and more");
         EXPECT_THAT(refusal(mislabelled), HasSubstr("KTX"));
       }},
      {"a normal texture", "used, with tangents from the texture coordinates (TANGENT is not read)",
       [] {
         GltfBuilder file = textured();
         file.material()["normalTexture"]["index"] = 0;
         EXPECT_TRUE(read(file).materials[0].normal_texture.is_set());
       }},
  };
}

std::vector<FormatCase> material_cases() {
  return {
      {"alphaMode OPAQUE, or none", "opaque whatever the texture's alpha",
       [] {
         GltfBuilder file = textured();
         EXPECT_EQ(read(file).materials[0].alpha_mode, AlphaMode::Opaque);
         file.material()["alphaMode"] = "OPAQUE";
         EXPECT_EQ(read(file).materials[0].alpha_mode, AlphaMode::Opaque);
       }},
      {"alphaMode MASK", "a hole where alpha is below `alphaCutoff` (0.5)",
       [] {
         GltfBuilder file = textured();
         file.material()["alphaMode"] = "MASK";
         EXPECT_EQ(read(file).materials[0].alpha_mode, AlphaMode::Mask);
         EXPECT_EQ(read(file).materials[0].alpha_cutoff, 0.5f);
         file.material()["alphaCutoff"] = 0.9;
         EXPECT_EQ(read(file).materials[0].alpha_cutoff, 0.9f);
       }},
      {"alphaMode BLEND", "a surface of alpha a stops that fraction of the light",
       [] {
         GltfBuilder file = textured();
         file.material()["alphaMode"] = "BLEND";
         EXPECT_EQ(read(file).materials[0].alpha_mode, AlphaMode::Blend);
         file.material()["alphaMode"] = "HASHED";
         EXPECT_THAT(refusal(file), HasSubstr("alphaMode is HASHED"));
       }},
      {"no material, or an empty one", "the format's own: white, metallic 1, roughness 1",
       [] {
         GltfBuilder file;
         for (int i = 0; i < 2; ++i) {
           const Material m = read(file).materials[0];
           EXPECT_EQ(m.base_colour, Vec3f::Ones());
           EXPECT_EQ(m.metallic, 1);
           EXPECT_EQ(m.roughness, 1);
           EXPECT_EQ(m.emission, Vec3f::Zero());
           file.primitive().erase("material");
         }
       }},
      {"KHR_materials_pbrSpecularGlossiness", "diffuse under a coat of that reflectance, both textures read",
       [] {
         GltfBuilder file;
         const int texture = file.add_texture(one_pixel());
         Json& m = file.material()["extensions"]["KHR_materials_pbrSpecularGlossiness"];
         m = {{"diffuseFactor", {0.5, 0.25, 1, 0.5}},
              {"specularFactor", {0.1, 0.2, 0.3}},
              {"glossinessFactor", 0.25}};
         m["diffuseTexture"]["index"] = m["specularGlossinessTexture"]["index"] = texture;
         const Material out = read(file).materials[0];
         EXPECT_EQ(out.metallic, 0);
         EXPECT_EQ(out.base_colour, Vec3f(0.5f, 0.25f, 1));
         EXPECT_EQ(out.opacity, 0.5f);
         EXPECT_EQ(out.specular, Vec3f(0.1f, 0.2f, 0.3f));
         EXPECT_EQ(out.roughness, 0.25f);
         EXPECT_TRUE(out.has_glossiness);
         EXPECT_EQ(out.roughness_texture.channel, 3);
         EXPECT_TRUE(out.specular_texture.is_set());
         EXPECT_TRUE(out.base_texture.is_set());
       }},
      {"KHR_materials_emissive_strength", "multiplies emission",
       [] {
         GltfBuilder file;
         file.material()["emissiveFactor"] = {1, 0.5, 0};
         file.material()["extensions"]["KHR_materials_emissive_strength"]["emissiveStrength"] = 4;
         EXPECT_EQ(read(file).materials[0].emission, Vec3f(4, 2, 0));
       }},
      {"KHR_materials_unlit", "shows its base colour whatever the light",
       [] {
         GltfBuilder file;
         EXPECT_FALSE(read(file).materials[0].is_unlit);
         file.material()["extensions"]["KHR_materials_unlit"] = Json::object();
         EXPECT_TRUE(read(file).materials[0].is_unlit);
       }},
      {"KHR_materials_ior, KHR_materials_specular",
       "set the coat's reflectance (of its textures the colour alone)",
       [] {
         GltfBuilder file;
         EXPECT_NEAR(read(file).materials[0].specular.x(), 0.04f, 1e-6f);
         file.material()["extensions"]["KHR_materials_ior"]["ior"] = 2;
         EXPECT_NEAR(read(file).materials[0].specular.x(), 1.0f / 9, 1e-6f);
         file.material()["extensions"]["KHR_materials_specular"] = {{"specularFactor", 0.5},
                                                                    {"specularColorFactor", {1, 0, 1}}};
         EXPECT_NEAR(read(file).materials[0].specular.x(), 0.5f / 9, 1e-6f);
         EXPECT_EQ(read(file).materials[0].specular.y(), 0);
       }},
      {"doubleSided", "both sides are drawn whatever it says",
       [] {
         GltfBuilder file;
         for (const bool is_double : {false, true}) {
           file.material()["doubleSided"] = is_double;
           EXPECT_EQ(read(file).faces.size(), 2u);
         }
       }},
      {"`--no-textures`", "factors alone; emission and metal that only a texture would limit are left out",
       [] {
         GltfBuilder file = textured();
         file.material()["emissiveTexture"]["index"] = 0;
         file.material()["emissiveFactor"] = {1, 1, 1};
         file.material()["pbrMetallicRoughness"]["metallicRoughnessTexture"]["index"] = 0;
         ReadMeshOptions options;
         options.load_textures = false;
         const Mesh mesh = read_gltf_bytes(file.glb(), "a.glb", options);
         EXPECT_TRUE(mesh.textures.empty());
         EXPECT_EQ(mesh.materials[0].emission, Vec3f::Zero());
         EXPECT_EQ(mesh.materials[0].metallic, 0);
         EXPECT_FALSE(mesh.materials[0].base_texture.is_set());
       }},
  };
}

TEST(GltfFormat, IsReadAsThePageSays) {
  std::vector<FormatCase> all;
  for (const auto& cases : {file_cases(), node_cases(), geometry_cases(), texture_cases(), material_cases()})
    all.insert(all.end(), cases.begin(), cases.end());
  testing::run_format_cases("gltf", all);
}

}  // namespace
}  // namespace t3d::io::gltf
