#include "t3d/io/gltf/gltf_format_cases.h"
#include "tests/support/temporary_folder.h"

#ifdef T3D_HAS_WEBP
#include <webp/encode.h>
#endif

namespace t3d::io::gltf::format {

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
      {"EXT_texture_webp", "decoded; refused by name in a build without libwebp",
       [] {
         GltfBuilder file;
         file.json["extensionsRequired"] = {"EXT_texture_webp"};
#ifdef T3D_HAS_WEBP
         const uint8_t rgba[4] = {10, 20, 30, 40};
         uint8_t* encoded = nullptr;
         const size_t n = WebPEncodeLosslessRGBA(rgba, 1, 1, 4, &encoded);
         const std::string webp(reinterpret_cast<const char*>(encoded), n);
         WebPFree(encoded);
         file.material()["emissiveTexture"]["index"] = file.add_texture(webp, "image/webp");
         file.json["textures"][0] = Json::parse(R"({"extensions": {"EXT_texture_webp": {"source": 0}}})");
         const Mesh mesh = read(file);
         ASSERT_EQ(mesh.textures.size(), 1u);
         EXPECT_EQ(mesh.textures[0].at(0, 0)[1], 20);
#else
         EXPECT_THAT(refusal(file), HasSubstr("EXT_texture_webp"));
#endif
       }},
      {"an image file that is not there", "a warning, and the plain colour; with `--strict` an error",
       [] {
         GltfBuilder file;
         file.json["images"] = Json::parse(R"([{"uri": "gone.png"}])");
         file.json["textures"] = Json::parse(R"([{"source": 0}])");
         file.material()["emissiveTexture"]["index"] = 0;
         file.material()["emissiveFactor"] = {1, 1, 1};
         EXPECT_THAT(said(file), HasSubstr("gone.png"));
         EXPECT_EQ(read(file).materials[0].emission, Vec3f::Zero());
         ReadMeshOptions options;
         options.strict = true;
         EXPECT_THROW(read_gltf_bytes(file.glb(), "a.glb", options), SystemError);
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

}  // namespace t3d::io::gltf::format
