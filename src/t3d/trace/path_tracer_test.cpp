#include "t3d/trace/path_tracer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "t3d/core/rng.h"
#include "t3d/trace/bsdf.h"
#include "tests/support/optional_libraries.h"

namespace t3d::trace {
namespace {

constexpr float kPi = 3.14159265f;

io::Mesh sphere(float radius, int n = 96) {
  io::Mesh mesh;
  for (int i = 0; i <= n; ++i)
    for (int j = 0; j <= 2 * n; ++j) {
      const float theta = kPi * static_cast<float>(i) / static_cast<float>(n),
                  phi = kPi * static_cast<float>(j) / static_cast<float>(n);
      const Vec3f p(std::sin(theta) * std::cos(phi), std::sin(theta) * std::sin(phi), std::cos(theta));
      mesh.positions.push_back(radius * p);
      mesh.normals.push_back(p);
    }
  const auto at = [n](int i, int j) { return static_cast<uint32_t>(i * (2 * n + 1) + j); };
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < 2 * n; ++j) {
      if (i > 0) mesh.faces.push_back({at(i, j), at(i + 1, j), at(i, j + 1)});
      if (i < n - 1) mesh.faces.push_back({at(i, j + 1), at(i + 1, j), at(i + 1, j + 1)});
    }
  return mesh;
}

io::Mesh ground(float half) {
  io::Mesh mesh;
  mesh.positions = {{-half, -half, 0}, {half, -half, 0}, {half, half, 0}, {-half, half, 0}};
  mesh.faces = {{0, 1, 2}, {0, 2, 3}};
  return mesh;
}

Environment constant_environment(float radiance) {
  Environment environment;
  environment.zenith = environment.horizon = environment.nadir = Vec3f::Constant(radiance);
  return environment;
}

AreaLight no_light() {
  AreaLight light;
  light.side = 0;
  return light;
}

float linear_from_code(uint8_t code) {
  const float v = static_cast<float>(code) / 255.0f;
  return v <= 0.04045f ? v / 12.92f : std::pow((v + 0.055f) / 1.055f, 2.4f);
}

TEST(Bsdf, SamplingMatchesItsDensityAndReturnsNoMoreThanItGot) {
  Rng rng(1);
  for (const float metallic : {0.0f, 1.0f}) {
    for (const float roughness : {0.3f, 0.6f, 1.0f}) {
      const Bsdf bsdf(Vec3f::Ones(), metallic, roughness);
      const Vec3f out = Vec3f(0.5f, 0.1f, 0.8f).normalized();
      double sampled = 0, uniform = 0, total_density = 0;
      const int n = 60000;
      for (int i = 0; i < n; ++i) {
        const float choice = rng.uniform(), a = rng.uniform(), b = rng.uniform();
        sampled += bsdf.sample(out, choice, {a, b}).weight.x();
        const float z = rng.uniform(), r = std::sqrt(1 - z * z), phi = 2 * kPi * rng.uniform();
        const Vec3f in(r * std::cos(phi), r * std::sin(phi), z);
        uniform += bsdf.evaluate(out, in).x() * z * 2 * kPi;
        total_density += bsdf.pdf(out, in) * 2 * kPi;
      }
      EXPECT_NEAR(sampled / n, uniform / n, 0.03) << metallic << " " << roughness;
      EXPECT_LE(total_density / n, 1.05);
      EXPECT_NEAR(sampled / n, 1.0, 0.03) << metallic << " " << roughness;  // white returns what it got
    }
  }
}

TEST(PathTracer, SilhouetteOfASphereHasTheAnalyticArea) {
  T3D_NEED_EMBREE();
  const Scene scene(sphere(0.5f), constant_environment(1), no_light());
  const Camera camera{Lens::from_fov_x(64, 64, 0.8f), look_at({2, 0, 0}, {0, 0, 0})};
  RenderSettings settings;
  settings.samples = 64;
  const RenderedView view = render_view(scene, camera, settings);
  double coverage = 0;
  for (size_t i = 3; i < view.rgba.pixels.size(); i += 4) coverage += view.rgba.pixels[i] / 255.0;
  // The cone that touches the sphere meets the image plane in a circle of radius f tan(asin(r/d)).
  const double radius = camera.lens.fx * std::tan(std::asin(0.5 / 2.0));
  EXPECT_NEAR(coverage / (kPi * radius * radius), 1.0, 0.005);
}

TEST(PathTracer, AWhiteSphereInAUniformEnvironmentReflectsNearlyAllOfIt) {
  T3D_NEED_EMBREE();
  io::Mesh mesh = sphere(0.5f);
  io::Material white;
  white.base_colour = Vec3f::Ones();
  mesh.materials = {white};
  const Scene scene(std::move(mesh), constant_environment(0.5f), no_light());
  const Camera camera{Lens::from_fov_x(32, 32, 0.3f), look_at({2, 0, 0}, {0, 0, 0})};
  RenderSettings settings;
  settings.samples = 256;
  const float centre = linear_from_code(render_view(scene, camera, settings).rgba.at(16, 16)[0]);
  EXPECT_NEAR(centre, 0.5f, 0.01f);
}

TEST(PathTracer, AreaLightIrradianceMatchesTheClosedForm) {
  T3D_NEED_EMBREE();
  io::Mesh mesh = ground(4);
  io::Material grey;
  grey.base_colour = Vec3f::Zero();
  grey.emission = Vec3f::Zero();
  grey.base_colour = Vec3f::Constant(0.5f);
  grey.roughness = 1.0f;
  mesh.materials = {grey};
  AreaLight light;
  light.position = {0, 0, 3};
  light.side = 0.2f;
  light.radiance = Vec3f::Constant(100.0f);
  const Scene scene(std::move(mesh), constant_environment(0), light);
  const Camera camera{Lens::from_fov_x(16, 16, 0.05f), look_at({0.5f, 0, 2}, {0, 0, 0})};
  RenderSettings settings;
  settings.samples = 256;
  settings.max_bounces = 0;
  const float found = linear_from_code(render_view(scene, camera, settings).rgba.at(8, 8)[0]);
  // A small square far away: irradiance L A / d^2; reflected by the measured reflectance of the surface.
  const Vec3f out = Vec3f(0.5f, 0, 2).normalized(), in(0, 0, 1);
  const float expected = 100.0f * 0.04f / 9.0f * Bsdf(Vec3f::Constant(0.5f), 0, 1).evaluate(out, in).x();
  EXPECT_NEAR(found / expected, 1.0f, 0.03f);
}

TEST(PathTracer, DepthNormalAndMaskOfAPlaneAreExact) {
  T3D_NEED_EMBREE();
  const Scene scene(ground(10), constant_environment(1), no_light());
  const Camera camera{Lens::from_fov_x(9, 9, 0.5f), look_at({0, 0, 3}, {0, 0, 0})};
  RenderSettings settings;
  settings.samples = 1;
  settings.auxiliary = true;
  const RenderedView view = render_view(scene, camera, settings);
  EXPECT_NEAR(*view.depth.at(4, 4), 3.0f, 1e-5f);
  const Vec3f corner = camera.ray(0.5f, 0.5f).direction;
  EXPECT_NEAR(*view.depth.at(0, 0), -3.0f / corner.z(), 1e-4f);
  EXPECT_EQ(view.normal.at(4, 4)[2], 255);
  EXPECT_EQ(*view.mask.at(8, 8), 255);
}

TEST(PathTracer, ThreadsDoNotChangeAPixel) {
  T3D_NEED_EMBREE();
  const Scene scene(sphere(0.5f, 24), Environment{}, AreaLight{});
  const Camera camera{Lens::from_fov_x(40, 40, 0.8f), look_at({1.5f, 0.3f, 0.5f}, {0, 0, 0})};
  RenderSettings settings;
  settings.samples = 8;
  settings.n_threads = 1;
  const auto one = render_view(scene, camera, settings);
  settings.n_threads = 3;
  EXPECT_EQ(one.rgba.pixels, render_view(scene, camera, settings).rgba.pixels);
}

TEST(PathTracer, UnlitSurfacesShowTheirOwnColourWhateverTheLight) {
  T3D_NEED_EMBREE();
  io::Mesh mesh = sphere(0.5f, 24);
  mesh.colours.assign(mesh.positions.size(), Vec3f(0.2f, 0.4f, 0.8f));
  io::Material material;
  material.base_colour = Vec3f::Ones();
  mesh.materials = {material};
  const Scene scene(std::move(mesh), constant_environment(0.1f), AreaLight{});
  const Camera camera{Lens::from_fov_x(9, 9, 0.5f), look_at({1, 0, 1}, {0, 0, 0})};
  RenderSettings settings;
  settings.samples = 4;
  settings.unlit = true;
  const auto view = render_view(scene, camera, settings);
  for (int i = 0; i < 9; ++i) {
    EXPECT_EQ(view.rgba.at(i, i)[0], 51);
    EXPECT_EQ(view.rgba.at(i, i)[1], 102);
    EXPECT_EQ(view.rgba.at(i, i)[2], 204);
  }
}

TEST(Scene, CutOutTexturesLetRaysThrough) {
  T3D_NEED_EMBREE();
  io::Mesh mesh = ground(1);
  mesh.uvs = {{0, 0}, {1, 0}, {1, 1}, {0, 1}};
  io::Image8 texture(2, 1, 4);
  texture.pixels = {255, 255, 255, 255, 255, 255, 255, 0};
  mesh.textures = {texture};
  io::Material material;
  material.base_texture.texture = 0;
  mesh.materials = {material};
  const Scene scene(std::move(mesh), Environment{}, AreaLight{});
  Hit hit;
  EXPECT_TRUE(scene.intersect({{-0.5f, 0, 1}, {0, 0, -1}}, hit));
  EXPECT_FALSE(scene.intersect({{0.5f, 0, 1}, {0, 0, -1}}, hit));
  EXPECT_FALSE(scene.occluded({0.5f, 0, 1}, {0, 0, -1}, 5));
}

}  // namespace
}  // namespace t3d::trace
