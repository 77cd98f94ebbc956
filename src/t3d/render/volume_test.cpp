#include "t3d/render/volume.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

namespace t3d::render {
namespace {

/// Constant density in a cube, colour = position.
class Cube : public field::Field {
 public:
  Cube(const at::Tensor& sigma, double half) : sigma_(sigma), half_(half) {}
  at::Tensor density(const at::Tensor& points) const override {
    return sigma_ * (std::get<0>(points.abs().max(1)) <= half_).to(at::kFloat);
  }
  at::Tensor colour(const at::Tensor& points, const at::Tensor&) const override { return points * 0.5 + 0.5; }

 private:
  at::Tensor sigma_;
  double half_;
};

/// Opaque ball with normals.
class Ball : public field::Field {
 public:
  explicit Ball(double radius) : radius_(radius) {}
  at::Tensor density(const at::Tensor& points) const override {
    return 400 * (points.square().sum(1) < radius_ * radius_).to(at::kFloat);
  }
  at::Tensor colour(const at::Tensor& points, const at::Tensor&) const override {
    return at::ones_like(points) * at::tensor({1.f, .5f, .25f});
  }
  field::FieldSample sample(const at::Tensor& points, const at::Tensor& directions) const override {
    return {density(points), colour(points, directions), points / points.norm(2, 1, true).clamp_min(1e-6)};
  }

 private:
  double radius_;
};

struct Rays {
  at::Tensor o, d;
};

/// Parallel to +y, crossing a square of side 1.6 in the xz plane.
Rays parallel_rays(int64_t side) {
  const at::Tensor line = at::linspace(-0.8, 0.8, side);
  const auto grid = at::meshgrid({line, line}, "ij");
  const at::Tensor x = grid[0].reshape({-1}), z = grid[1].reshape({-1});
  const at::Tensor o = at::stack({x, at::full_like(x, -3), z}, 1).contiguous();
  return {o, at::tensor({0.f, 1.f, 0.f}).expand_as(o).contiguous()};
}

/// One random point per cell and update: cells at the border need several to be found.
void warm_up(VolumeRenderer& renderer, const field::Field& field) {
  for (int64_t step = 0; step < 256; step += 16) renderer.update(field, step);
}

TEST(VolumeRenderer, CubeOfConstantDensityHasTheOpacityOfItsChord) {
  const double sigma = 1.5, half = 0.6;
  const Cube cube(at::full({1}, sigma), half);
  VolumeRenderer renderer({});
  warm_up(renderer, cube);
  const Rays rays = parallel_rays(24);
  const VolumeRendering out = renderer.render(cube, rays.o, rays.d, at::ones({3}), 0, false);
  const at::Tensor across = rays.o.index_select(1, at::tensor({0, 2}, at::kLong));        // [R,2]
  const at::Tensor inside = std::get<0>(across.abs().max(1)) < half;                      // [R]
  const at::Tensor expected = inside.to(at::kFloat) * (1 - std::exp(-sigma * 2 * half));  // [R]
  EXPECT_LT((out.opacity.view({-1}) - expected).abs().max().item<double>(), sigma * renderer.step_size());
  const at::Tensor outside = out.comp_rgb.masked_select(inside.logical_not().unsqueeze(1));
  EXPECT_TRUE(at::equal(outside, at::ones_like(outside)));
  EXPECT_GT(inside.sum().item<int64_t>(), 100);
}

TEST(VolumeRenderer, GradientByDensityIsThatOfTheClosedForm) {
  const double sigma = 1.5, half = 0.6;
  const at::Tensor parameter = at::full({1}, sigma).requires_grad_();
  const Cube cube(parameter, half);
  VolumeRenderer renderer({});
  warm_up(renderer, cube);
  const at::Tensor o = at::tensor({0.05f, -3.f, 0.05f}).view({1, 3}),
                   d = at::tensor({0.f, 1.f, 0.f}).view({1, 3});
  const VolumeRendering out = renderer.render(cube, o, d, {}, 0, true);
  const auto gradient = torch::autograd::grad({out.opacity.sum()}, {parameter})[0].item<double>();
  EXPECT_NEAR(gradient, 2 * half * std::exp(-sigma * 2 * half), 0.01);
}

TEST(VolumeRenderer, OpaqueBallHasItsDepthAndNormals) {
  const double radius = 0.5;
  const Ball ball(radius);
  VolumeRenderer renderer({});
  warm_up(renderer, ball);
  const Rays rays = parallel_rays(17);
  const VolumeRendering out = renderer.render(ball, rays.o, rays.d, at::zeros({3}), 0, false);
  int n_hit = 0;
  for (int64_t r = 0; r < rays.o.size(0); ++r) {
    const double x = rays.o[r][0].item<double>(), z = rays.o[r][2].item<double>(), square = x * x + z * z;
    if (square > 0.45 * 0.45) continue;
    const double y = -std::sqrt(radius * radius - square);
    EXPECT_NEAR(out.opacity[r].item<double>(), 1.0, 1e-3);
    EXPECT_NEAR(out.depth[r].item<double>(), 3 + y, 3 * renderer.step_size());
    EXPECT_LT(out.z_variance[r].item<double>(), 1e-3);
    EXPECT_NEAR(out.comp_normal[r][1].item<double>(), (y / radius + 1) / 2, 0.05);
    EXPECT_NEAR(out.comp_rgb[r][1].item<double>(), 0.5, 1e-3);
    ++n_hit;
  }
  EXPECT_GT(n_hit, 50);
}

TEST(VolumeRenderer, NothingIsRenderedBeforeTheFirstUpdate) {
  const Ball ball(0.5);
  const VolumeRenderer renderer({});
  const Rays rays = parallel_rays(4);
  const VolumeRendering out = renderer.render(ball, rays.o, rays.d, at::ones({3}), 0, true);
  EXPECT_TRUE(at::equal(out.comp_rgb, at::ones({16, 3})));
  EXPECT_EQ(out.samples.n_samples(), 1) << "the sample of length 0";
}

TEST(VolumeRenderer, ChunksAndPruningDoNotChangeThePicture) {
  const Ball ball(0.5);
  VolumeRendererConfig config;
  VolumeRenderer pruned(config);
  config.eval_chunk_size = 777;
  config.prune_alpha_threshold = false;
  VolumeRenderer chunked(config);
  config.grid_prune = false;
  VolumeRenderer full(config);
  for (VolumeRenderer* renderer : {&pruned, &chunked}) warm_up(*renderer, ball);
  const Rays rays = parallel_rays(16);
  const at::Tensor a = pruned.render(ball, rays.o, rays.d, at::ones({3}), 0, false).comp_rgb;
  const at::Tensor b = chunked.render(ball, rays.o, rays.d, at::ones({3}), 0, false).comp_rgb;
  const at::Tensor c = full.render(ball, rays.o, rays.d, at::ones({3}), 0, false).comp_rgb;
  EXPECT_LT((a - b).abs().max().item<double>(), 1e-3);
  EXPECT_LT((b - c).abs().max().item<double>(), 1e-5);
}

TEST(VolumeRenderer, JitterIsAFunctionOfSeedAndStep) {
  const Ball ball(0.5);
  VolumeRenderer a({}, 5), b({}, 5), c({}, 6);
  for (VolumeRenderer* renderer : {&a, &b, &c}) warm_up(*renderer, ball);
  const Rays rays = parallel_rays(8);
  const auto t = [&](const VolumeRenderer& renderer, int64_t step) {
    return renderer.render(ball, rays.o, rays.d, {}, step, true).samples.t;
  };
  EXPECT_TRUE(at::equal(t(a, 3), t(b, 3)));
  EXPECT_FALSE(at::equal(t(a, 3), t(a, 4)));
  EXPECT_FALSE(at::equal(t(a, 3), t(c, 3)));
}

}  // namespace
}  // namespace t3d::render
