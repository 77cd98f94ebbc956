#include "t3d/render/nerf_volume_renderer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "t3d/core/config/read_yaml.h"
#include "t3d/core/error.h"
#include "tests/support/expect_made_fields.h"
#include "tests/support/request_along.h"

namespace t3d::render {
namespace {

config::Node parse(const std::string& text) {
  return config::read_yaml(text, "test.yaml");
}

/// A learned blob in a box of radius 1 with plain colours before a white background.
struct BlobScene {
  field::BuildContext context{7};
  std::unique_ptr<field::Geometry> geometry = field::geometries().make(
      "volume-grid", parse("{grid_size: [12, 12, 12], normal_type: finite_difference}"), "test", context);
  std::unique_ptr<shading::Material> material =
      shading::materials().make("no-material", parse("{requires_normal: true}"), "test", context);
  std::unique_ptr<shading::Background> background =
      shading::backgrounds().make("solid-color-background", parse("{}"), "test", context);

  std::unique_ptr<Renderer> renderer(const std::string& yaml) {
    const Scene scene{geometry.get(), material.get(), background.get()};
    return renderers().make("nerf-volume-renderer", parse(yaml), "system.renderer", scene, context);
  }
};

/// A constant density in a ball or a cube around the origin, with the normals of a ball.
struct Solid : field::Geometry, field::DensityField {
  Solid(bool cube, float half_side, float density)
      : is_cube(cube), half(half_side), sigma(at::full({}, density)) {}
  float radius() const override { return 1; }
  const field::DensityField* density() const override { return this; }
  at::Tensor density_at(const at::Tensor& x) const override {
    const auto far = is_cube ? std::get<0>(x.abs().max(1, true)) : x.norm(2, at::IntArrayRef{1}, true);
    return sigma * (far < half).to(at::kFloat);  // [N,1]
  }
  field::GeometryOutput samples_at(const at::Tensor& x, bool) const override {
    field::GeometryOutput out;
    out.density = density_at(x), out.features = at::zeros_like(x);
    out.normal = out.shading_normal = field::unit_rows(x);
    return out;
  }

  bool is_cube;
  float half;
  at::Tensor sigma;  // []
};

struct SolidScene : BlobScene {
  Solid solid;
  explicit SolidScene(const Solid& shape) : solid(shape) {}
  std::unique_ptr<Renderer> renderer(const std::string& yaml) {
    const Scene scene{&solid, material.get(), background.get()};
    auto made = renderers().make("nerf-volume-renderer", parse(yaml), "system.renderer", scene, context);
    // One random point for each cell and update: cells at the border need several to be found.
    for (int64_t step = 0; step < 256; step += 16) made->update_grid(step);
    return made;
  }
};

/// Rays along -x from x = 3 on a square of edge 2.
RenderRequest parallel_rays(int64_t side) {
  const auto at_edge = at::linspace(-1, 1, side);
  auto origins = at::zeros({1, side, side, 3});
  origins.select(3, 0).fill_(3);
  origins.select(3, 1).copy_(at_edge.view({1, 1, side}));
  origins.select(3, 2).copy_(at_edge.view({1, side, 1}));
  auto request =
      testing::request_along(origins, at::tensor({-1.f, 0.f, 0.f}).expand({1, side, side, 3}).contiguous());
  request.light_positions = at::tensor({3.f, 0.f, 0.f}).unsqueeze(0);
  return request;
}

TEST(NerfVolumeRenderer, ShowsTheBlobBeforeTheBackground) {
  BlobScene scene;
  const auto renderer = scene.renderer("{num_samples_per_ray: 128}");
  renderer->update_grid(0);
  Rng rng(1);
  const auto out = (*renderer)(parallel_rays(9), false, rng);
  EXPECT_EQ(out.comp_rgb.sizes(), (std::vector<int64_t>{1, 9, 9, 3}));
  EXPECT_GT(out.opacity[0][4][4][0].item<float>(), 0.9f);
  EXPECT_LT(out.opacity[0][0][0][0].item<float>(), 0.1f);
  EXPECT_NEAR(out.comp_rgb[0][0][0][0].item<float>(), 1, 0.1);
  EXPECT_TRUE(at::allclose(out.comp_rgb, out.comp_rgb_fg + out.comp_rgb_bg * (1 - out.opacity)));
  const float depth = (out.depth / out.opacity)[0][4][4][0].item<float>();
  EXPECT_GT(depth, 2);
  EXPECT_LT(depth, 3);
  EXPECT_TRUE(out.comp_normal.defined());
}

constexpr float kStep = 1.732f * 2 / 512;  // between samples, by default

TEST(NerfVolumeRenderer, ACubeOfConstantDensityHasTheOpacityOfItsChord) {
  constexpr float kSigma = 1.5f, kHalf = 0.6f;
  SolidScene scene({/*is_cube=*/true, kHalf, kSigma});
  const auto request = parallel_rays(24);
  Rng rng(1);
  const auto out = (*scene.renderer("{}"))(request, false, rng);
  const auto inside =
      std::get<0>(request.rays().origins.slice(3, 1).abs().max(3, true)) < kHalf;  // [1,H,W,1]
  const auto expected = inside.to(at::kFloat) * (1 - std::exp(-kSigma * 2 * kHalf));
  EXPECT_GT(inside.sum().item<int64_t>(), 100);
  EXPECT_LT((out.opacity - expected).abs().max().item<float>(), kSigma * kStep);
  const auto outside = out.comp_rgb.masked_select(inside.logical_not());
  EXPECT_TRUE(outside.equal(at::ones_like(outside)));
}

TEST(NerfVolumeRenderer, TheGradientByDensityIsThatOfTheClosedForm) {
  constexpr float kSigma = 1.5f, kHalf = 0.6f;
  SolidScene scene({/*is_cube=*/true, kHalf, kSigma});
  scene.solid.sigma.requires_grad_(true);
  Rng rng(1);
  const auto out = (*scene.renderer("{randomized: false}"))(parallel_rays(5), true, rng);
  out.opacity[0][2][2][0].backward();
  EXPECT_NEAR(scene.solid.sigma.grad().item<float>(), 2 * kHalf * std::exp(-kSigma * 2 * kHalf), 0.01);
}

TEST(NerfVolumeRenderer, AnOpaqueBallHasItsDepthAndNormals) {
  constexpr float kRadius = 0.5f;
  SolidScene scene({/*is_cube=*/false, kRadius, 400});
  const auto request = parallel_rays(33);
  // Of the grid's cells, 0.0625 wide, those that a surface only grazes may never be found.
  constexpr float kCell = 0.0625f;
  const std::vector<std::pair<const char*, float>> cases = {
      {"{}", kCell},
      {"{eval_chunk_size: 777, prune_alpha_threshold: false}", kCell},
      {"{grid_prune: false}", 3 * kStep}};
  for (const auto& [yaml, tolerance] : cases) {
    SCOPED_TRACE(yaml);
    Rng rng(1);
    const auto out = (*scene.renderer(yaml))(request, false, rng);
    const auto squared =
        request.rays().origins.slice(3, 1).square().sum(3, true);  // [1,H,W,1], of the axis' distance
    const auto inside = squared < 0.45f * 0.45f;
    EXPECT_GT(inside.sum().item<int64_t>(), 100);
    const auto x = (kRadius * kRadius - squared).clamp_min(0).sqrt();  // of the surface
    const auto worst = [&](const at::Tensor& error) { return (error.abs() * inside).max().item<float>(); };
    EXPECT_LT(worst(out.opacity - 1), 1e-3f);
    EXPECT_LT(worst(out.depth - (3 - x)), tolerance);
    EXPECT_LT(worst(out.z_variance), 1e-3f);
    EXPECT_LT(worst(out.comp_normal.slice(3, 0, 1) - (x / kRadius + 1) / 2), 0.05f);
  }
}

TEST(NerfVolumeRenderer, GradientsReachTheField) {
  for (const char* yaml :
       {"{num_samples_per_ray: 64}",
        "{num_samples_per_ray: 16, num_samples_per_ray_importance: 16, estimator: importance,"
        " near_plane: 2, far_plane: 4}"}) {
    SCOPED_TRACE(yaml);
    BlobScene scene;
    const auto renderer = scene.renderer(yaml);
    renderer->update_grid(0);
    Rng rng(1);
    const auto out = (*renderer)(parallel_rays(5), true, rng);
    (out.comp_rgb.sum() + out.opacity.square().sum()).backward();
    double total = 0;
    for (const auto& [name, tensor] : scene.geometry->parameters())
      if (tensor.grad().defined()) total += tensor.grad().abs().sum().item<double>();
    EXPECT_GT(total, 1e-3);
    EXPECT_EQ(out.weights.size(0), out.ray_indices.size(0));
  }
}

TEST(NerfVolumeRenderer, TwoEstimatorsAgree) {
  BlobScene scene;
  const auto grid = scene.renderer("{num_samples_per_ray: 512, grid_prune: false}");
  const auto importance = scene.renderer(
      "{num_samples_per_ray: 256, num_samples_per_ray_importance: 256, estimator: importance, near_plane: "
      "1.5,"
      " far_plane: 4}");
  grid->update_grid(0);
  Rng rng(1);
  const auto a = (*grid)(parallel_rays(7), false, rng), b = (*importance)(parallel_rays(7), false, rng);
  // Both see the box alone, between 2 and 4, and thin places too.
  EXPECT_LT((a.opacity - b.opacity).abs().max().item<float>(), 0.05f);
  EXPECT_LT((a.comp_rgb - b.comp_rgb).abs().max().item<float>(), 0.05f);
}

TEST(NerfVolumeRenderer, ChunksChangeNothing) {
  BlobScene scene;
  const auto whole = scene.renderer("{num_samples_per_ray: 64, eval_chunk_size: 0}");
  const auto chunks = scene.renderer("{num_samples_per_ray: 64, eval_chunk_size: 37}");
  whole->update_grid(0);
  chunks->update_grid(0);
  Rng rng(1);
  const auto a = (*whole)(parallel_rays(6), false, rng), b = (*chunks)(parallel_rays(6), false, rng);
  EXPECT_TRUE(at::allclose(a.comp_rgb, b.comp_rgb, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(a.comp_normal, b.comp_normal, 1e-5, 1e-6));
}

TEST(NerfVolumeRenderer, EmptyGridShowsTheBackground) {
  BlobScene scene;
  const auto renderer = scene.renderer("{num_samples_per_ray: 64}");  // no update yet
  Rng rng(1);
  auto request = parallel_rays(3);
  request.background = at::tensor({0.2f, 0.4f, 0.6f}).unsqueeze(0);
  const auto out = (*renderer)(request, true, rng);
  EXPECT_EQ(out.opacity.max().item<float>(), 0);
  EXPECT_NEAR(out.comp_rgb[0][1][1][2].item<float>(), 0.6, 1e-6);
  EXPECT_EQ(out.weights.size(0), 1);
}

TEST(NerfVolumeRenderer, JitterRepeatsItself) {
  BlobScene scene;
  const auto renderer = scene.renderer("{num_samples_per_ray: 16}");
  renderer->update_grid(0);
  Rng first(5), same(5), other(6);
  const auto a = (*renderer)(parallel_rays(5), true, first).comp_rgb;
  EXPECT_TRUE(a.equal((*renderer)(parallel_rays(5), true, same).comp_rgb));
  EXPECT_FALSE(a.equal((*renderer)(parallel_rays(5), true, other).comp_rgb));
}

TEST(NerfVolumeRenderer, MakesTheFieldsThatItNames) {
  BlobScene scene;
  for (const char* normals : {"false", "true"}) {
    scene.material = shading::materials().make("no-material", parse(cat("{requires_normal: ", normals, "}")),
                                               "test", scene.context);
    for (const char* yaml : {"{}", "{return_comp_normal: true, return_normal_perturb: true}"})
      testing::expect_made_fields(*scene.renderer(yaml), parallel_rays(3));
  }
}

TEST(NerfVolumeRenderer, SaysWhatItCannotDo) {
  BlobScene scene;
  EXPECT_THROW(scene.renderer("{estimator: importance}"), UserError);
}

}  // namespace
}  // namespace t3d::render
