#include "t3d/render/neus_volume_renderer.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
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

constexpr float kRadius = 0.5f;

/// The exact distance to a sphere around the origin, whose radius learns.
class Sphere : public field::Geometry, public field::DistanceField {
 public:
  float radius() const override { return 1; }
  const field::DistanceField* distance() const override { return this; }
  at::Tensor distance_at(const at::Tensor& x) const override {
    return x.norm(2, at::IntArrayRef{1}, true) - size;
  }
  field::GeometryOutput samples_at(const at::Tensor& x, bool) const override {
    field::GeometryOutput out;
    out.sdf = distance_at(x), out.features = at::zeros_like(x);
    out.normal = out.shading_normal = out.sdf_grad = field::unit_rows(x);
    return out;
  }
  at::Tensor size = field::learned(at::full({}, kRadius));
};

struct SphereScene {
  field::BuildContext context{7};
  Sphere geometry;
  std::unique_ptr<shading::Material> material =
      shading::materials().make("no-material", parse("{}"), "test", context);
  std::unique_ptr<shading::Background> background =
      shading::backgrounds().make("solid-color-background", parse("{}"), "test", context);

  std::unique_ptr<Renderer> renderer(const std::string& yaml) {
    const Scene scene{&geometry, material.get(), background.get()};
    auto made = renderers().make("neus-volume-renderer", parse(yaml), "system.renderer", scene, context);
    // A thin surface is where a cell's random point seldom is: some updates find all its cells.
    for (int64_t step = 0; step < 320; step += 16) made->update_grid(step);
    return made;
  }
};

/// From (2.5, 0, 0) through a square in the plane x = 1: every ray has another angle.
RenderRequest camera(int64_t side) {
  const auto at_edge = at::linspace(-0.7, 0.7, side);
  auto towards = at::full({1, side, side, 3}, -1.5f);
  towards.select(3, 1).copy_(at_edge.view({1, 1, side}));
  towards.select(3, 2).copy_(at_edge.view({1, side, 1}));
  auto request = testing::request_along(at::tensor({2.5f, 0.f, 0.f}).expand({1, side, side, 3}).contiguous(),
                                        field::unit_rows(towards));
  request.light_positions = at::tensor({3.f, 0.f, 0.f}).unsqueeze(0);
  return request;
}

/// Where rays meet the sphere: distances [..,1], and how near they pass to its centre.
std::pair<at::Tensor, at::Tensor> hits(const Rays& rays) {
  const auto along = -(rays.origins * rays.directions).sum(3, true);
  const auto squared = rays.origins.square().sum(3, true) - along.square();  // of the nearest point
  const auto inside = (kRadius * kRadius - squared).clamp_min(0).sqrt();
  return {along - inside, squared.sqrt()};
}

TEST(NeusVolumeRenderer, ASphereIsOpaqueInsideItsOutlineAndDeepWhereRaysMeetIt) {
  // A step is 0.0068 long. The grid's cells, 0.0625 wide, may miss the tip of a surface.
  constexpr float kStep = 0.02f, kCell = 0.0625f;
  const std::vector<std::pair<const char*, float>> cases = {
      {"{learned_variance_init: 0.6, grid_prune: false}", kStep},
      {"{learned_variance_init: 0.6}", kCell},
      {"{learned_variance_init: 0.6, prune_alpha_threshold: false}", kCell}};
  for (const auto& [yaml, tolerance] : cases) {
    SCOPED_TRACE(yaml);
    SphereScene scene;
    const auto request = camera(41);
    Rng rng(1);
    const auto out = (*scene.renderer(yaml))(request, false, rng);
    const auto [distance, near_centre] = hits(request.rays());
    const auto inside = near_centre<kRadius - 0.03, outside = near_centre> kRadius + 0.03;
    EXPECT_GT(inside.sum().item<int64_t>(), 200);
    EXPECT_GT(outside.sum().item<int64_t>(), 300);
    EXPECT_GT(out.opacity.masked_select(inside).min().item<float>(), 1 - tolerance / 2);
    EXPECT_LT(out.opacity.masked_select(outside).max().item<float>(), 0.01f);
    EXPECT_LT((out.depth - distance).abs().masked_select(inside).max().item<float>(), tolerance);
    EXPECT_LT((out.depth - distance).abs().masked_select(inside).mean().item<float>(), tolerance / 4);
    const auto expected =
        (field::unit_rows(request.rays().origins + request.rays().directions * distance) + 1) / 2;
    EXPECT_LT(((out.comp_normal - expected).abs() * inside).max().item<float>(), tolerance);
    EXPECT_FALSE(out.z_variance.defined());
    EXPECT_NEAR(out.inv_std.item<float>(), std::exp(6.f), 0.1f);
  }
}

TEST(NeusVolumeRenderer, VolSdfShowsTheSameSphereWithBothEstimators) {
  SphereScene scene;
  const auto request = camera(31);
  const auto [distance, near_centre] = hits(request.rays());
  const auto inside = near_centre<kRadius - 0.12, outside = near_centre> kRadius + 0.12;
  for (const char* yaml : {"{use_volsdf: true, learned_variance_init: 0.43}",
                           "{use_volsdf: true, learned_variance_init: 0.43, estimator: importance,"
                           " near_plane: 1, far_plane: 4, num_samples_per_ray_importance: 128}"}) {
    SCOPED_TRACE(yaml);
    Rng rng(1);
    const auto out = (*scene.renderer(yaml))(request, false, rng);
    EXPECT_GT(out.opacity.masked_select(inside).min().item<float>(), 0.99f);
    EXPECT_LT(out.opacity.masked_select(outside).max().item<float>(), 0.02f);
    EXPECT_LT((out.depth - distance).abs().masked_select(inside).max().item<float>(), 0.05f);
    EXPECT_LE(out.opacity.max().item<float>(), 1.0001f);
  }
}

TEST(NeusVolumeRenderer, StepsThatAreTooLongForVolSdfNeverPassOpacityOne) {
  SphereScene scene;
  Rng rng(1);
  // Half a unit a step, density 80: 40 where 1 is the most.
  const auto out =
      (*scene.renderer("{use_volsdf: true, learned_variance_init: 0.5, num_samples_per_ray: 7}"))(camera(9),
                                                                                                  true, rng);
  EXPECT_LE(out.opacity.max().item<float>(), 1.0001f);
  EXPECT_GE(out.weights.min().item<float>(), 0);
}

TEST(NeusVolumeRenderer, GradientsReachShapeAndSharpness) {
  for (const char* yaml : {"{num_samples_per_ray: 128}", "{num_samples_per_ray: 128, use_volsdf: true}"}) {
    SCOPED_TRACE(yaml);
    SphereScene scene;
    const auto renderer = scene.renderer(yaml);
    Rng rng(1);
    const auto out = (*renderer)(camera(15), true, rng);
    out.opacity.sum().backward();
    EXPECT_GT(scene.geometry.size.grad().item<float>(), 1);  // a larger sphere covers more
    const auto v = renderer->parameters().at("variance._inv_std");
    EXPECT_NE(v.grad().item<float>(), 0);
    EXPECT_EQ(out.geometry.sdf_grad.sizes(), out.points.sizes());
    EXPECT_EQ(out.weights.size(0), out.ray_indices.size(0));
    EXPECT_FALSE(out.comp_normal.defined());
  }
}

TEST(NeusVolumeRenderer, AlphaIsTheLogisticFunctionsShareAndItsGradientsAreItsSlopes) {
  const auto d = at::TensorOptions().dtype(at::kDouble);
  const auto sdf = at::tensor({-0.2, -0.03, 0.01, 0.04, 0.3}, d), dt = at::full({5}, 0.05, d);
  const auto cosine = at::tensor({-1.0, -0.7, -0.2, 0.4, -0.9}, d), s = at::full({}, 20.0, d);
  const auto alpha = neus_alpha(sdf, cosine, dt, s, 1);
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  // Head on at -0.03: from 0.7*0.025 before it to as much behind it.
  const double p = sigmoid(20 * (-0.03 + 0.0175)), q = sigmoid(20 * (-0.03 - 0.0175));
  EXPECT_NEAR(alpha[1].item<double>(), (p - q + 1e-5) / (p + 1e-5), 1e-12);
  EXPECT_LT(alpha[3].item<double>(), 1e-4);                              // turns away
  EXPECT_GT(neus_alpha(sdf, cosine, dt, s, 0)[3].item<double>(), 1e-2);  // but is seen at the start
  for (const double anneal : {0.0, 0.3, 1.0}) {
    std::vector<at::Tensor> inputs = {sdf.clone(), cosine.clone(), s.clone()};
    for (auto& t : inputs) t.requires_grad_(true);
    const auto value = [&] { return neus_alpha(inputs[0], inputs[1], dt, inputs[2], anneal).square().sum(); };
    value().backward();
    for (auto& t : inputs) {
      const auto flat = t.detach().view({-1});
      for (int64_t i = 0; i < flat.numel(); ++i) {
        constexpr double kStep = 1e-6;
        flat[i] += kStep;
        const double above = value().item<double>();
        flat[i] -= 2 * kStep;
        const double below = value().item<double>();
        flat[i] += kStep;
        EXPECT_NEAR(t.grad().view({-1})[i].item<double>(), (above - below) / (2 * kStep), 1e-6);
      }
    }
  }
}

TEST(NeusVolumeRenderer, VolSdfsDensityIsLaplaces) {
  const auto sdf = at::tensor({-0.5, -0.01, 0.0, 0.01, 0.5}, at::kDouble),
             s = at::full({}, 30.0, at::kDouble);
  const auto density = volsdf_density(sdf, s);
  EXPECT_NEAR(density[0].item<double>(), 30, 1e-4);
  EXPECT_NEAR(density[1].item<double>(), 30 * (1 - 0.5 * std::exp(-0.3)), 1e-9);
  EXPECT_NEAR(density[2].item<double>(), 15, 1e-9);
  EXPECT_NEAR(density[3].item<double>(), 30 * 0.5 * std::exp(-0.3), 1e-9);
  EXPECT_NEAR(volsdf_density(sdf, s * 100)[0].item<double>(), 80, 1e-9);
}

TEST(NeusVolumeRenderer, TheCosineIsAnnealedOverItsSteps) {
  SphereScene scene;
  const auto opacity_at = [&](int64_t step) {
    const auto renderer =
        scene.renderer("{cos_anneal_end_steps: 100, grid_prune: false, num_samples_per_ray: 64}");
    renderer->update_step(step);
    Rng rng(1);
    return (*renderer)(camera(15), false, rng).opacity.sum().item<float>();
  };
  EXPECT_GT(opacity_at(0), opacity_at(50) + 0.1f);  // at first, the far side is seen as well
  EXPECT_GT(opacity_at(50), opacity_at(100) + 0.1f);
  EXPECT_EQ(opacity_at(100), opacity_at(1000));
}

TEST(NeusVolumeRenderer, ChunksChangeNothing) {
  SphereScene scene;
  Rng rng(1);
  const auto a = (*scene.renderer("{num_samples_per_ray: 64, eval_chunk_size: 0}"))(camera(9), false, rng);
  const auto b = (*scene.renderer("{num_samples_per_ray: 64, eval_chunk_size: 41}"))(camera(9), false, rng);
  EXPECT_TRUE(at::allclose(a.comp_rgb, b.comp_rgb, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(a.comp_normal, b.comp_normal, 1e-5, 1e-6));
}

TEST(NeusVolumeRenderer, MakesTheFieldsThatItNames) {
  SphereScene scene;
  testing::expect_made_fields(*scene.renderer("{}"), camera(3));
}

TEST(NeusVolumeRenderer, SaysWhatItCannotDo) {
  const auto message = [](const std::string& type, const std::string& geometry,
                          const std::string& yaml) -> std::string {
    const field::BuildContext context{7};
    const auto shape = field::geometries().make(
        geometry, parse("{pos_encoding_config: {otype: HashGrid, n_levels: 2, log2_hashmap_size: 8}}"),
        "test", context);
    try {
      renderers().make(type, parse(yaml), "system.renderer", Scene{shape.get(), nullptr, nullptr}, context);
    } catch (const UserError& e) {
      return e.what();
    }
    return "";
  };
  using ::testing::HasSubstr;
  EXPECT_THAT(message("neus-volume-renderer", "implicit-volume", "{}"), HasSubstr("implicit-sdf"));
  EXPECT_THAT(message("nerf-volume-renderer", "implicit-sdf", "{}"), HasSubstr("neus-volume-renderer"));
  EXPECT_THAT(message("neus-volume-renderer", "implicit-sdf", "{estimator: importance, far_plane: 4}"),
              HasSubstr("use_volsdf"));
  EXPECT_THAT(message("neus-volume-renderer", "implicit-sdf", "{estimator: proposal}"), HasSubstr("occgrid"));
}

}  // namespace
}  // namespace t3d::render
