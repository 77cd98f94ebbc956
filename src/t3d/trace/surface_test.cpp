#include "t3d/trace/surface.h"

#include <gtest/gtest.h>

#include <cmath>

#include "t3d/math/srgb.h"
#include "t3d/trace/bsdf.h"
#include "t3d/trace/path_tracer.h"
#include "t3d/trace/texture.h"
#include "tests/support/optional_libraries.h"

namespace t3d::trace {
namespace {

/// Four texels in a row, red 0, 80, 160, 240, alpha as given.
io::Image8 steps(uint8_t alpha = 255) {
  io::Image8 image(4, 1, 4);
  for (int x = 0; x < 4; ++x) {
    const uint8_t rgba[4] = {static_cast<uint8_t>(80 * x), 0, 0, alpha};
    std::copy(rgba, rgba + 4, image.at(x, 0));
  }
  return image;
}

/// The unit square in the plane z = 0, texture coordinates equal to x and y, one material.
io::Mesh square(const io::Material& material, io::Image8 texture) {
  io::Mesh mesh;
  mesh.positions = {{0, 0, 0}, {1, 0, 0}, {1, 1, 0}, {0, 1, 0}};
  mesh.uvs = {{0, 0}, {1, 0}, {1, 1}, {0, 1}};
  mesh.faces = {{0, 1, 2}, {0, 2, 3}};
  mesh.materials = {material};
  mesh.textures = {std::move(texture)};
  return mesh;
}

io::Material white() {
  io::Material material;
  material.base_colour = Vec3f::Ones();
  return material;
}

float red(const io::TextureSlot& slot, float u, float v = 0.5f) {
  return 255.0f * sample_texture(steps(), slot, {u, v}, false).x();
}

TEST(Texture, WrapsByEachSideOfItsSampler) {
  io::TextureSlot slot;
  EXPECT_NEAR(red(slot, 1.375f), 80, 0.01f);
  EXPECT_NEAR(red(slot, -0.125f), 240, 0.01f);
  EXPECT_NEAR(red(slot, 1.0f), 120, 0.01f);  // half of the last texel, half of the first
  slot.wrap_u = io::Wrap::Mirror;
  EXPECT_NEAR(red(slot, 1.375f), 160, 0.01f);
  EXPECT_NEAR(red(slot, -0.375f), 80, 0.01f);
  EXPECT_NEAR(red(slot, 1.0f), 240, 0.01f);
  slot.wrap_u = io::Wrap::Clamp;
  EXPECT_NEAR(red(slot, 1.375f), 240, 0.01f);
  EXPECT_NEAR(red(slot, -7.0f), 0, 0.01f);
  io::TextureSlot upright;  // one texel high: any v is the same
  upright.wrap_v = io::Wrap::Clamp;
  EXPECT_NEAR(red(upright, 0.375f, 9.0f), 80, 0.01f);
}

TEST(Texture, NearestTakesOneTexelAndLinearBlendsTwo) {
  io::TextureSlot slot;
  EXPECT_NEAR(red(slot, 0.49f), 116.8f, 0.01f);
  slot.filter = io::Filter::Nearest;
  EXPECT_NEAR(red(slot, 0.49f), 80, 0.01f);
  EXPECT_NEAR(red(slot, 0.51f), 160, 0.01f);
}

TEST(Texture, TransformsBeforeItWrapsAndTakesAnyNumber) {
  io::TextureSlot slot;
  slot.transform << 2, 0, 0.25f, 0, 1, 0;
  EXPECT_NEAR(red(slot, 0.0625f), 80, 0.01f);
  for (const float odd : {INFINITY, -INFINITY, NAN, 3e38f, -3e38f, 1e9f})
    for (const io::Wrap wrap : {io::Wrap::Repeat, io::Wrap::Mirror, io::Wrap::Clamp}) {
      slot.wrap_u = slot.wrap_v = wrap;
      EXPECT_TRUE(sample_texture(steps(), slot, {odd, odd}, true).allFinite()) << odd;
    }
}

Hit hit_at(const io::Mesh& mesh, float u = 0.25f, float v = 0.25f) {
  Hit hit;
  shade(mesh, {0, u, v}, {0, 0, -1}, hit);
  return hit;
}

TEST(Surface, EveryFactorMultipliesItsTexture) {
  io::Image8 texture(1, 1, 4);
  texture.pixels = {51, 102, 204, 153};
  io::Material m = white();
  m.base_colour = {0.5f, 1, 1};
  m.metallic = 0.5f, m.roughness = 1;
  m.emission = {0, 0, 3};
  m.occlusion_strength = 0.5f;
  for (io::TextureSlot* slot : {&m.base_texture, &m.metallic_texture, &m.roughness_texture,
                                &m.emission_texture, &m.occlusion_texture})
    slot->texture = 0;
  m.metallic_texture.channel = 2, m.roughness_texture.channel = 1;
  const Hit hit = hit_at(square(m, texture));
  EXPECT_NEAR(hit.base_colour.x(), 0.5f * linear_from_srgb(0.2f), 1e-6f);
  EXPECT_NEAR(hit.base_colour.z(), linear_from_srgb(0.8f), 1e-6f);
  EXPECT_NEAR(hit.metallic, 0.4f, 1e-6f);
  EXPECT_NEAR(hit.roughness, 0.4f, 1e-6f);
  EXPECT_NEAR(hit.emission.z(), 3 * linear_from_srgb(0.8f), 1e-6f);
  EXPECT_NEAR(hit.occlusion, 1 + 0.5f * (0.2f - 1), 1e-6f);

  m.roughness_texture.channel = 3;
  m.has_glossiness = true;
  m.specular = {1, 0.5f, 0.5f};
  m.specular_texture.texture = 0;
  const Hit glossy = hit_at(square(m, texture));
  EXPECT_NEAR(glossy.roughness, 1 - 0.6f, 1e-6f);
  EXPECT_NEAR(glossy.specular.y(), 0.5f * linear_from_srgb(0.4f), 1e-6f);
}

TEST(Surface, EachSlotUsesItsOwnTextureCoordinates) {
  io::Material m = white();
  m.base_texture.texture = m.occlusion_texture.texture = 0;
  m.base_texture.uv_set = 2;
  io::Mesh mesh = square(m, steps());
  mesh.more_uvs = {{}, std::vector<Vec2f>(4, Vec2f(0.625f, 0))};
  EXPECT_NEAR(hit_at(mesh).base_colour.x(), linear_from_srgb(160.0f / 255), 1e-5f);
  EXPECT_NEAR(hit_at(mesh, 0.125f, 0).occlusion, 0, 1e-5f);
  mesh.materials[0].base_texture.uv_set = 1;  // not there: as without the texture
  EXPECT_EQ(hit_at(mesh).base_colour, Vec3f::Ones());
}

TEST(Surface, VertexColoursMultiplyTheTextureUnlessTheMaterialSaysNo) {
  io::Material m = white();
  m.base_texture.texture = 0;
  m.base_texture.filter = io::Filter::Nearest;
  io::Mesh mesh = square(m, steps());
  mesh.colours.assign(4, Vec3f::Constant(0.5f));
  const float texel = linear_from_srgb(80.0f / 255);
  EXPECT_NEAR(hit_at(mesh, 0.3f, 0).base_colour.x(), texel * linear_from_srgb(0.5f), 1e-6f);
  mesh.materials[0].uses_vertex_colours = false;
  EXPECT_NEAR(hit_at(mesh, 0.3f, 0).base_colour.x(), texel, 1e-6f);

  mesh.materials[0] = white();
  mesh.colours = {Vec3f::Zero(), Vec3f::Ones(), Vec3f::Ones(), Vec3f::Zero()};
  EXPECT_NEAR(hit_at(mesh, 0.5f, 0).base_colour.x(), linear_from_srgb(0.5f), 1e-6f);
  mesh.linear_colours = true;
  EXPECT_NEAR(hit_at(mesh, 0.5f, 0).base_colour.x(), 0.5f, 1e-6f);
}

TEST(Surface, AlphaModeAndCutoffAloneDecideAboutAlpha) {
  io::Material m = white();
  m.base_texture.texture = 0;
  const auto stopped = [&m](uint8_t alpha) {
    return stopped_fraction(square(m, steps(alpha)), {0, 0.2f, 0.2f});
  };
  m.alpha_mode = io::AlphaMode::Opaque;
  EXPECT_EQ(stopped(0), 1);
  m.alpha_mode = io::AlphaMode::Mask;
  EXPECT_EQ(stopped(127), 0);
  EXPECT_EQ(stopped(128), 1);
  m.alpha_cutoff = 0.9f;
  EXPECT_EQ(stopped(200), 0);
  EXPECT_EQ(stopped(240), 1);
  m.alpha_mode = io::AlphaMode::Blend;
  EXPECT_NEAR(stopped(51), 0.2f, 1e-6f);
  m.opacity = 0.5f;
  EXPECT_NEAR(stopped(51), 0.1f, 1e-6f);
  m.uses_texture_alpha = false;
  EXPECT_NEAR(stopped(51), 0.5f, 1e-6f);
  m.opacity_texture.texture = 0;  // its red: 0 at the first texel, 80 at the second
  m.opacity_texture.filter = io::Filter::Nearest;
  EXPECT_NEAR(stopped_fraction(square(m, steps()), {0, 0.3f, 0.1f}), 0.5f * 80 / 255, 1e-6f);
  io::Mesh mesh = square(white(), steps());
  mesh.materials[0].alpha_mode = io::AlphaMode::Blend;
  mesh.alphas.assign(4, 0.25f);
  EXPECT_NEAR(stopped_fraction(mesh, {0, 0.2f, 0.2f}), 0.25f, 1e-6f);
  EXPECT_TRUE(may_let_through(mesh, mesh.materials[0]));
  mesh.materials[0].alpha_mode = io::AlphaMode::Opaque;
  EXPECT_FALSE(may_let_through(mesh, mesh.materials[0]));
}

/// A square across the view, in front of another.
io::Mesh two_sheets(float front_alpha, float back_alpha) {
  io::Material front = white(), back = white();
  front.is_unlit = back.is_unlit = true;
  front.base_colour = {1, 0, 0}, back.base_colour = {0, 0, 1};
  front.alpha_mode = back.alpha_mode = io::AlphaMode::Blend;
  front.opacity = front_alpha, back.opacity = back_alpha;
  io::Mesh mesh;
  for (const float z : {0.5f, 0.0f})
    for (const Vec2f& p : {Vec2f(-1, -1), Vec2f(1, -1), Vec2f(1, 1), Vec2f(-1, 1)})
      mesh.positions.emplace_back(p.x(), p.y(), z);
  mesh.faces = {{0, 1, 2}, {0, 2, 3}, {4, 5, 6}, {4, 6, 7}};
  mesh.face_material = {0, 0, 1, 1};
  mesh.materials = {front, back};
  return mesh;
}

TEST(PathTracer, BlendedSheetsStopTheirFractionsOfTheLight) {
  T3D_NEED_EMBREE();
  const Scene scene(two_sheets(0.25f, 0.5f), Environment{}, AreaLight{});
  ASSERT_TRUE(scene.has_blending());
  const Camera camera{Lens::from_fov_x(4, 4, 0.1f), look_at({0, 0, 2}, {0, 0, 0})};
  RenderSettings settings;
  settings.samples = 256;
  settings.auxiliary = true;
  const RenderedView view = render_view(scene, camera, settings);
  const uint8_t* p = view.rgba.at(2, 2);
  EXPECT_NEAR(p[3] / 255.0, 1 - 0.75 * 0.5, 0.02);  // 0.25 by the first, half of the rest by the second
  EXPECT_NEAR(linear_from_srgb(p[0] / 255.0f), 0.25 / 0.625, 0.03);
  EXPECT_NEAR(linear_from_srgb(p[2] / 255.0f), 0.375 / 0.625, 0.03);
  // Half of the light is stopped at the second sheet only.
  EXPECT_NEAR(*view.depth.at(2, 2), 2.0f, 0.01f);
}

TEST(PathTracer, NormalMapsTurnTheShadingNormal) {
  io::Image8 texture(1, 1, 4);
  texture.pixels = {255, 128, 128, 255};  // along growing u
  io::Material m = white();
  m.normal_texture.texture = 0;
  const Hit hit = hit_at(square(m, texture));
  EXPECT_GT(hit.shading_normal.x(), 0.9f);
  EXPECT_NEAR(hit.shading_normal.y(), 0, 0.01f);
  m.normal_scale = 0;
  EXPECT_GT(hit_at(square(m, texture)).shading_normal.z(), 0.999f);
  m.normal_scale = 1;
  m.normal_texture.transform << 0, -1, 0, 1, 0, 0;  // the texture's u runs along -y
  EXPECT_LT(hit_at(square(m, texture)).shading_normal.y(), -0.9f);
}

TEST(Bsdf, CoatsOfAnyReflectanceReturnNoMoreThanTheyGot) {
  for (const float f0 : {0.0f, 0.04f, 0.5f, 1.0f})
    for (const float roughness : {0.3f, 1.0f}) {
      const Bsdf bsdf(Vec3f::Ones(), 0, roughness, Vec3f::Constant(f0));
      const Vec3f out = Vec3f(0.5f, 0.1f, 0.8f).normalized();
      double sum = 0;
      constexpr int kSide = 128;
      for (int i = 0; i < kSide * kSide; ++i) {
        const float z = (static_cast<float>(i % kSide) + 0.5f) / kSide, r = std::sqrt(1 - z * z),
                    phi = 6.2831853f * (static_cast<float>(i / kSide) + 0.5f) / kSide;
        sum += bsdf.evaluate(out, {r * std::cos(phi), r * std::sin(phi), z}).x() * z * 6.2831853f;
      }
      EXPECT_LE(sum / (kSide * kSide), 1.03) << f0 << " " << roughness;
      EXPECT_GE(sum / (kSide * kSide), 0.85) << f0 << " " << roughness;
    }
}

}  // namespace
}  // namespace t3d::trace
