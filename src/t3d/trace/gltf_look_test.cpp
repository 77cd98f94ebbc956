#include <gtest/gtest.h>

#include <cmath>

#include "t3d/io/gltf/read_gltf.h"
#include "t3d/trace/path_tracer.h"
#include "tests/support/gltf_builder.h"
#include "tests/support/optional_libraries.h"

namespace t3d::trace {
namespace {

using testing::GltfBuilder;
using Json = GltfBuilder::Json;

/// Red, green above blue, white; alpha 255, 128 above 64, 0.
std::string quarters() {
  return GltfBuilder::png(2, 2, {255, 0, 0, 255, 0, 255, 0, 128, 0, 0, 255, 64, 255, 255, 255, 0});
}

/// The builder's square from (0, 0) to (1, 1), as seen from above.
class Square {
 public:
  explicit Square(const GltfBuilder& file) : scene_(read(file), Environment{}, AreaLight{}) {}

  bool is_hit(float x, float y) const {
    Hit hit;
    return scene_.intersect({{x, y, 1}, {0, 0, -1}}, hit);
  }
  Hit at(float x, float y) const {
    Hit hit;
    EXPECT_TRUE(scene_.intersect({{x, y, 1}, {0, 0, -1}}, hit));
    return hit;
  }
  /// The name of the base colour there.
  char colour(float x, float y) const {
    const Vec3f c = at(x, y).base_colour;
    if (c.isApprox(Vec3f(1, 0, 0))) return 'r';
    if (c.isApprox(Vec3f(0, 1, 0))) return 'g';
    if (c.isApprox(Vec3f(0, 0, 1))) return 'b';
    return c.isApprox(Vec3f::Ones()) ? 'w' : '?';
  }
  /// The colours in the middles of the quarters: upper left, upper right, lower left, lower right.
  std::string colours() const {
    return {colour(0.25f, 0.75f), colour(0.75f, 0.75f), colour(0.25f, 0.25f), colour(0.75f, 0.25f)};
  }
  /// The middle pixel's alpha, from many paths.
  double coverage() const {
    RenderSettings settings;
    settings.samples = 256;
    const Camera camera{Lens::from_fov_x(2, 2, 0.01f), look_at({0.25f, 0.75f, 2}, {0.25f, 0.75f, 0})};
    return render_view(scene_, camera, settings).rgba.at(1, 1)[3] / 255.0;
  }

 private:
  static io::Mesh read(const GltfBuilder& file) {
    io::ReadMeshOptions options;
    options.up = io::UpAxis::Z;
    return io::gltf::read_gltf_bytes(file.glb(), "a.glb", options);
  }
  Scene scene_;
};

/// Quarters as the base colour, nearest texel.
GltfBuilder painted(const Json& extra = Json::object(), Json sampler = Json::object()) {
  GltfBuilder file;
  sampler["magFilter"] = 9728;
  Json slot = extra;
  slot["index"] = file.add_texture(quarters(), "image/png", sampler);
  file.material()["pbrMetallicRoughness"]["baseColorTexture"] = slot;
  return file;
}

Json moved(const Json& members) {
  return {{"extensions", {{"KHR_texture_transform", members}}}};
}

TEST(GltfLook, TexturesLieUpright) {
  T3D_NEED_EMBREE();
  EXPECT_EQ(Square(painted()).colours(), "rgbw");
}

TEST(GltfLook, TextureTransformsMoveTurnAndScale) {
  T3D_NEED_EMBREE();
  EXPECT_EQ(Square(painted(moved({{"offset", {0.5, 0}}}))).colours(), "grwb");
  EXPECT_EQ(Square(painted(moved({{"offset", {0, 0.5}}}))).colours(), "bwrg");
  EXPECT_EQ(Square(painted(moved({{"scale", {0.5, 0.5}}}))).colours(), "rrrr");
  EXPECT_EQ(Square(painted(moved({{"scale", {1, -1}}, {"offset", {0, 1}}}))).colours(), "bwrg");
  // Coordinates that turn counter-clockwise turn the image clockwise.
  EXPECT_EQ(Square(painted(moved({{"rotation", 1.57079633}, {"offset", {0, 1}}}))).colours(), "brwg");
}

TEST(GltfLook, SamplersWrapEachSide) {
  T3D_NEED_EMBREE();
  const Json twice = moved({{"scale", {4, 4}}, {"offset", {-1.5, -1.5}}});  // -1.5 to 2.5
  const auto ends = [&twice](int mode) {
    const Square square(painted(twice, {{"wrapS", mode}, {"wrapT", mode}}));
    return std::string{square.colour(0.0625f, 0.9375f), square.colour(0.9375f, 0.9375f)};
  };
  EXPECT_EQ(ends(33071), "rg");  // clamped: the corners
  EXPECT_EQ(ends(10497), "wb");  // u -1.25 is 0.75, 2.25 is 0.25; v -1.25 is 0.75
  EXPECT_EQ(ends(33648), "wb");
  const Square mixed(painted(twice, {{"wrapS", 33648}, {"wrapT", 33071}}));
  EXPECT_EQ(mixed.colour(0.0625f, 0.9375f), 'g');
  EXPECT_EQ(mixed.colour(0.3125f, 0.9375f), 'r');  // u -0.25 is 0.25 in the mirror, 0.75 repeated
}

TEST(GltfLook, TheSecondSetOfCoordinatesIsUsedWhereItIsNamed) {
  T3D_NEED_EMBREE();
  for (const Json& info : {Json{{"texCoord", 1}}, moved({{"texCoord", 1}})}) {
    GltfBuilder file = painted(info);
    file.attribute("TEXCOORD_1") =
        file.add<float>({1, 1, 0, 1, 0, 0, 1, 0}, GltfBuilder::kFloat, "VEC2");  // in the mirror
    EXPECT_EQ(Square(file).colours(), "grwb");
  }
}

TEST(GltfLook, AlphaModesAloneDecideAboutAlpha) {
  T3D_NEED_EMBREE();
  GltfBuilder file = painted();
  EXPECT_TRUE(Square(file).is_hit(0.75f, 0.25f));
  file.material()["alphaMode"] = "MASK";
  EXPECT_FALSE(Square(file).is_hit(0.75f, 0.25f));
  EXPECT_TRUE(Square(file).is_hit(0.75f, 0.75f));
  file.material()["alphaCutoff"] = 0.9;
  EXPECT_FALSE(Square(file).is_hit(0.75f, 0.75f));
  EXPECT_TRUE(Square(file).is_hit(0.25f, 0.75f));
  file.material()["alphaCutoff"] = 0.2;
  EXPECT_TRUE(Square(file).is_hit(0.25f, 0.25f));

  file.material() =
      Json::parse(R"({"alphaMode": "BLEND", "pbrMetallicRoughness": {"baseColorFactor": [1, 1, 1, 0.5]}})");
  EXPECT_NEAR(Square(file).coverage(), 0.5, 0.02);
  file.attribute("COLOR_0") =
      file.add<float>({1, 1, 1, .5f, 1, 1, 1, .5f, 1, 1, 1, .5f, 1, 1, 1, .5f}, GltfBuilder::kFloat, "VEC4");
  EXPECT_NEAR(Square(file).coverage(), 0.25, 0.02);
  file.material()["alphaMode"] = "OPAQUE";
  EXPECT_EQ(Square(file).coverage(), 1);
}

TEST(GltfLook, VertexColoursMultiplyTexturesAsLight) {
  T3D_NEED_EMBREE();
  GltfBuilder file = painted();
  file.attribute("COLOR_0") =
      file.add<float>({0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0}, GltfBuilder::kFloat, "VEC3");
  const Square square(file);
  EXPECT_NEAR(square.at(0.25f, 0.75f).base_colour.x(), 0.25f, 1e-3f);
  EXPECT_NEAR(square.at(0.75f, 0.75f).base_colour.y(), 0.75f, 1e-3f);
}

TEST(GltfLook, EmissionMetalAndRoughnessFollowTheirTextures) {
  T3D_NEED_EMBREE();
  GltfBuilder file = painted();
  file.material()["emissiveTexture"]["index"] = 0;
  file.material()["emissiveFactor"] = {1, 0.5, 1};
  file.material()["extensions"]["KHR_materials_emissive_strength"]["emissiveStrength"] = 2;
  file.material()["pbrMetallicRoughness"]["metallicRoughnessTexture"]["index"] = 0;
  file.material()["pbrMetallicRoughness"]["roughnessFactor"] = 0.5;
  const Square square(file);
  EXPECT_EQ(square.at(0.25f, 0.75f).emission, Vec3f(2, 0, 0));
  EXPECT_EQ(square.at(0.75f, 0.75f).emission, Vec3f(0, 1, 0));
  EXPECT_EQ(square.at(0.25f, 0.75f).metallic, 0);
  EXPECT_EQ(square.at(0.25f, 0.25f).metallic, 1);      // blue
  EXPECT_EQ(square.at(0.75f, 0.75f).roughness, 0.5f);  // green
  EXPECT_EQ(square.at(0.25f, 0.25f).roughness, 0);
}

TEST(GltfLook, SpecularGlossinessIsNoMetal) {
  T3D_NEED_EMBREE();
  GltfBuilder file;
  const int texture = file.add_texture(GltfBuilder::png(1, 1, {255, 0, 0, 51}));
  Json& m = file.material()["extensions"]["KHR_materials_pbrSpecularGlossiness"];
  m["diffuseTexture"]["index"] = texture;
  m["specularFactor"] = {0.1, 0.1, 0.1};
  m["glossinessFactor"] = 0.5;
  Hit hit = Square(file).at(0.5f, 0.25f);
  EXPECT_EQ(hit.base_colour, Vec3f(1, 0, 0));
  EXPECT_EQ(hit.metallic, 0);
  EXPECT_EQ(hit.roughness, 0.5f);
  EXPECT_NEAR(hit.specular.y(), 0.1f, 1e-6f);
  m["specularGlossinessTexture"]["index"] = texture;
  hit = Square(file).at(0.5f, 0.25f);
  EXPECT_NEAR(hit.roughness, 1 - 0.5f * 0.2f, 1e-6f);
  EXPECT_EQ(hit.specular.y(), 0);
}

TEST(GltfLook, UnlitSurfacesShowTheirColour) {
  T3D_NEED_EMBREE();
  GltfBuilder file = painted();
  file.material()["extensions"]["KHR_materials_unlit"] = Json::object();
  EXPECT_TRUE(Square(file).at(0.25f, 0.25f).is_unlit);
}

TEST(GltfLook, OcclusionTakesAwayLightFromAllAroundAlone) {
  T3D_NEED_EMBREE();
  const auto brightness = [](const Json& strength, float light) {
    GltfBuilder file;
    file.material()["occlusionTexture"] = {
        {"index", file.add_texture(GltfBuilder::png(1, 1, {0, 255, 255, 255}))}, {"strength", strength}};
    file.material()["pbrMetallicRoughness"]["metallicFactor"] = 0;
    io::ReadMeshOptions options;
    options.up = io::UpAxis::Z;
    AreaLight lamp;
    lamp.radiance = Vec3f::Constant(light);
    const Scene scene(io::gltf::read_gltf_bytes(file.glb(), "a.glb", options), Environment{}, lamp);
    RenderSettings settings;
    settings.samples = 64;
    const Camera camera{Lens::from_fov_x(2, 2, 0.01f), look_at({0.5f, 0.5f, 2}, {0.5f, 0.5f, 0})};
    return static_cast<int>(render_view(scene, camera, settings).rgba.at(1, 1)[0]);
  };
  EXPECT_EQ(brightness(1, 0), 0);
  EXPECT_GT(brightness(0, 0), 100);
  EXPECT_GT(brightness(1, 9), 50);
}

}  // namespace
}  // namespace t3d::trace
