#include <cmath>

#include "t3d/io/gltf/gltf_format_cases.h"
#include "tests/support/temporary_folder.h"

#ifdef T3D_HAS_MESHOPTIMIZER
#include <meshoptimizer.h>
#endif

namespace t3d::io::gltf::format {
namespace {

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

         const std::vector<float> bind = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0,  0, 1,
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
      {"EXT_meshopt_compression (attributes, triangles, filters)",
       "decompressed; refused by name in a build without meshoptimizer",
       [] {
#ifdef T3D_HAS_MESHOPTIMIZER
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
#else
         GltfBuilder file;
         file.json["extensionsRequired"] = {"EXT_meshopt_compression"};
         EXPECT_THAT(refusal(file), HasSubstr("EXT_meshopt_compression"));
#endif
       }},
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
      {"coordinates of any size that floats hold", "read, with finite normals",
       [] {
         GltfBuilder file;
         file.attribute("POSITION") = file.add<float>(
             {0, 0, 0, 3e38f, 0, 0, 3e38f, 3e38f, 0, -3e38f, 3e38f, 0}, GltfBuilder::kFloat, "VEC3");
         file.primitive()["attributes"].erase("NORMAL");
         const Mesh mesh = read(file);
         EXPECT_EQ(mesh.faces.size(), 2u);
         for (const Vec3f& normal : mesh.normals) EXPECT_GT(normal.z(), 0.99f);
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

}  // namespace

TEST(GltfFormat, IsReadAsThePageSays) {
  std::vector<FormatCase> all;
  for (const auto& cases : {file_cases(), node_cases(), geometry_cases(), texture_cases(), material_cases()})
    all.insert(all.end(), cases.begin(), cases.end());
  testing::run_format_cases("gltf", all);
}

}  // namespace t3d::io::gltf::format
