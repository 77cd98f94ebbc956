#include "t3d/ops/composite.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "t3d/core/rng.h"
#include "tests/support/gradient_error.h"

namespace t3d::ops {
namespace {

using testing::fixed_factors;
using testing::gradient_error;

/// Random rays of 0..40 samples, some opaque enough to stop early.
struct RandomRays {
  at::Tensor start, sigma, rgb, t, dt, target, background;
  explicit RandomRays(int64_t n_rays, uint64_t seed, at::ScalarType type = at::kFloat) {
    Rng rng(seed);
    start = at::zeros({n_rays + 1}, at::kInt);
    int32_t* s = start.data_ptr<int32_t>();
    for (int64_t r = 0; r < n_rays; ++r) s[r + 1] = s[r] + static_cast<int32_t>(rng.below(41));
    const int64_t n = s[n_rays];
    const auto uniform = [&](at::IntArrayRef shape) {
      at::Tensor x = at::empty(shape, at::kDouble);
      for (int64_t i = 0; i < x.numel(); ++i) x.data_ptr<double>()[i] = rng.uniform();
      return x;
    };
    sigma = (uniform({n}).pow(3) * 60).to(type);
    rgb = uniform({n, 3}).to(type);
    dt = (0.01 + 0.04 * uniform({n})).to(type);
    t = at::empty({n}, type);
    const at::Tensor sum = at::cumsum(dt, 0);
    const at::Tensor first = at::cat({at::zeros({1}, type), sum}, 0);
    const at::Tensor rays = ray_indices_from_start(start);
    t = (0.5 + sum - 0.5 * dt - first.index_select(0, start.to(at::kLong)).index_select(0, rays))
            .contiguous();
    target = uniform({n_rays, 4}).to(type);
    background = uniform({n_rays, 3}).to(type);
  }
  int64_t n_rays() const { return start.size(0) - 1; }
};

TEST(Composite, GradientOfEveryWeightOutputMatchesFiniteDifferences) {
  const RandomRays rays(4, 1, at::kDouble);
  const auto f = [&](const at::Tensor& sigma) {
    const RayWeights w = weights_from_density(sigma, rays.dt, rays.start);
    return (w.weights * fixed_factors(w.weights)).sum() +
           (w.transmittance * fixed_factors(w.weights + 1)).sum() +
           (w.alphas.square() * fixed_factors(w.weights)).sum();
  };
  EXPECT_LT(gradient_error(f, rays.sigma), 1e-7);
}

TEST(Composite, AlphaGradientMatchesFiniteDifferencesAndIsFiniteAtOne) {
  const RandomRays rays(4, 2, at::kDouble);
  const auto f = [&](const at::Tensor& alpha) {
    const RayWeights w = weights_from_alpha(alpha, rays.start);
    return (w.weights * fixed_factors(w.weights)).sum() + (w.transmittance * fixed_factors(w.weights)).sum();
  };
  at::Tensor alpha = 1 - at::exp(-rays.sigma * rays.dt);
  EXPECT_LT(gradient_error(f, alpha), 1e-7);
  alpha[3] = 1.0;
  EXPECT_LT(gradient_error(f, alpha), 1e-7);
}

TEST(Composite, FusedOutputsDifferentiateThroughDensityAndColour) {
  const RandomRays rays(4, 3, at::kDouble);
  const auto loss = [&](const at::Tensor& sigma, const at::Tensor& rgb) {
    const Composited c = composite(sigma, rgb, rays.t, rays.dt, rays.start, rays.background, 0.0);
    return (c.colour * fixed_factors(c.colour)).sum() + (c.opacity * fixed_factors(c.opacity)).sum() +
           (c.depth * fixed_factors(c.depth)).sum();
  };
  EXPECT_LT(gradient_error([&](const at::Tensor& x) { return loss(x, rays.rgb); }, rays.sigma), 1e-7);
  EXPECT_LT(gradient_error([&](const at::Tensor& x) { return loss(rays.sigma, x); }, rays.rgb), 1e-7);
}

TEST(Composite, ZVarianceDifferentiatesThroughTheWeights) {
  const RandomRays rays(5, 4, at::kDouble);
  const auto f = [&](const at::Tensor& sigma) {
    const RayWeights w = weights_from_density(sigma, rays.dt, rays.start);
    const at::Tensor opacity = accumulate_along_rays(w.weights, {}, rays.start);
    return (z_variance(w.weights, rays.t, opacity, rays.start) * fixed_factors(opacity)).sum();
  };
  EXPECT_LT(gradient_error(f, rays.sigma), 1e-6);
}

TEST(Composite, ZVarianceIsZeroWhereTheRayIsMostlyTransparent) {
  const at::Tensor start = at::arange(0, 3, at::kInt) * 2;
  const at::Tensor w = at::tensor({0.2f, 0.2f, 0.4f, 0.4f}), t = at::tensor({1.f, 2.f, 1.f, 2.f});
  const at::Tensor z = z_variance(w, t, accumulate_along_rays(w, {}, start.to(at::kInt)), start.to(at::kInt));
  EXPECT_EQ(z[0].item<float>(), 0.0f);
  EXPECT_NEAR(z[1].item<float>(), 0.25f, 1e-6f);
}

TEST(Composite, FloatMatchesDouble) {
  const RandomRays fast(300, 5), slow(300, 5, at::kDouble);
  const Composited a = composite(fast.sigma, fast.rgb, fast.t, fast.dt, fast.start, fast.background);
  const Composited b = composite(slow.sigma, slow.rgb, slow.t, slow.dt, slow.start, slow.background);
  EXPECT_LT((a.colour - b.colour).abs().max().item<double>(), 2e-5);
  EXPECT_LT((a.depth - b.depth).abs().max().item<double>(), 2e-5);
}

struct LossRun {
  CompositeLossResult result;
  at::Tensor d_sigma, d_rgb, n_used, colour;
};

LossRun run_loss(const RandomRays& rays, const CompositeLossConfig& config) {
  LossRun run;
  run.d_sigma = at::full_like(rays.sigma, 7);
  run.d_rgb = at::full_like(rays.rgb, 7);
  run.n_used = at::empty({rays.n_rays()}, at::kInt);
  run.colour = at::empty({rays.n_rays(), 3});
  run.result = cpu::composite_loss(
      rays.start.data_ptr<int32_t>(), rays.n_rays(), rays.sigma.data_ptr<float>(), rays.rgb.data_ptr<float>(),
      rays.t.data_ptr<float>(), rays.dt.data_ptr<float>(), rays.target.data_ptr<float>(),
      rays.background.data_ptr<float>(), config, run.d_sigma.data_ptr<float>(), run.d_rgb.data_ptr<float>(),
      run.n_used.data_ptr<int32_t>(), run.colour.data_ptr<float>());
  return run;
}

TEST(CompositeLoss, EqualsTheSameLossBuiltOfDifferentiableOps) {
  const RandomRays fast(200, 6), slow(200, 6, at::kDouble);
  for (const PixelLoss kind : {PixelLoss::L2, PixelLoss::Huber}) {
    CompositeLossConfig config;
    config.loss = kind;
    config.opacity_entropy = 1e-2f;
    config.distortion = 1e-1f;
    config.loss_scale = 8.0f;
    const LossRun run = run_loss(fast, config);

    const at::Tensor sigma = slow.sigma.clone().requires_grad_(), rgb = slow.rgb.clone().requires_grad_();
    const RayWeights all = weights_from_density(sigma, slow.dt, slow.start);
    const at::Tensor w = all.weights * (all.transmittance.detach() > config.min_transmittance);  // [S]
    const at::Tensor opacity = accumulate_along_rays(w, {}, slow.start);
    const at::Tensor colour = accumulate_along_rays(w, rgb, slow.start) + slow.background * (1 - opacity);
    const at::Tensor a = slow.target.slice(1, 3, 4);
    const at::Tensor difference = colour - (slow.target.slice(1, 0, 3) * a + slow.background * (1 - a));
    const double delta = config.huber_delta;
    const at::Tensor pixel = kind == PixelLoss::L2
                                 ? difference.square()
                                 : at::where(difference.abs() < delta, 0.5 / delta * difference.square(),
                                             difference.abs() - 0.5 * delta);
    const at::Tensor o = opacity.clamp_min(1e-6);
    const at::Tensor loss = pixel.mean() + config.opacity_entropy * (-o * o.log()).mean() +
                            config.distortion * distortion_loss(w, slow.t, slow.dt, slow.start).mean();
    const auto gradients = torch::autograd::grad({loss * config.loss_scale}, {sigma, rgb});
    EXPECT_NEAR(run.result.loss, loss.item<double>(), 1e-5 * loss.item<double>());
    EXPECT_NEAR(run.result.squared_error, difference.square().mean().item<double>(), 1e-6);
    EXPECT_LT((run.colour - colour).abs().max().item<double>(), 1e-5);
    const double largest = gradients[0].abs().max().item<double>();
    EXPECT_LT((run.d_sigma - gradients[0]).abs().max().item<double>(), 1e-4 * largest);
    EXPECT_LT((run.d_rgb - gradients[1]).abs().max().item<double>(),
              1e-4 * gradients[1].abs().max().item<double>());
    const int64_t n_counted = (all.transmittance > config.min_transmittance).sum().item<int64_t>();
    EXPECT_NEAR(static_cast<double>(run.result.n_used), static_cast<double>(n_counted), 2);
    EXPECT_LT(run.result.n_used, fast.sigma.numel()) << "some rays must stop early for this test to count";
  }
}

TEST(CompositeLoss, SameBitsOnAnyNumberOfThreads) {
  const RandomRays rays(1000, 7);
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const LossRun one = run_loss(rays, {});
  at::set_num_threads(3);
  const LossRun three = run_loss(rays, {});
  at::set_num_threads(threads);
  EXPECT_EQ(one.result.loss, three.result.loss);
  EXPECT_EQ(one.result.n_used, three.result.n_used);
  EXPECT_TRUE(at::equal(one.d_sigma, three.d_sigma));
  EXPECT_TRUE(at::equal(one.d_rgb, three.d_rgb));
}

TEST(CompositeLoss, CompactionKeepsTheFrontOfEveryRay) {
  const at::Tensor start = at::tensor({0, 3, 3, 7}, at::kInt), used = at::tensor({2, 0, 3}, at::kInt);
  at::Tensor packed = at::empty({4}, at::kInt), source = at::empty({7}, at::kInt);
  const int64_t n = cpu::compact_samples(start.data_ptr<int32_t>(), used.data_ptr<int32_t>(), 3,
                                         packed.data_ptr<int32_t>(), source.data_ptr<int32_t>());
  EXPECT_EQ(n, 5);
  EXPECT_TRUE(at::equal(packed, at::tensor({0, 2, 2, 5}, at::kInt)));
  EXPECT_TRUE(at::equal(source.slice(0, 0, n), at::tensor({0, 1, 3, 4, 5}, at::kInt)));
}

TEST(Distortion, PrefixSumsEqualTheDoubleSum) {
  const RandomRays fast(50, 8), slow(50, 8, at::kDouble);
  const at::Tensor w = weights_from_density(slow.sigma, slow.dt, slow.start).weights;  // [S]
  const at::Tensor expected = distortion_loss_reference(w, slow.t, slow.dt, slow.start);
  EXPECT_LT((distortion_loss(w, slow.t, slow.dt, slow.start) - expected).abs().max().item<double>(), 1e-13);
  const at::Tensor in_float = distortion_loss(w.to(at::kFloat), fast.t, fast.dt, fast.start);
  EXPECT_LT((in_float - expected).abs().max().item<double>(), 1e-5 * expected.max().item<double>());
}

TEST(Distortion, GradientMatchesTheDoubleSumAndFiniteDifferences) {
  const RandomRays rays(4, 9, at::kDouble);
  const at::Tensor w = weights_from_density(rays.sigma, rays.dt, rays.start).weights.detach();
  const auto f = [&](const at::Tensor& x) {
    const at::Tensor loss = distortion_loss(x, rays.t, rays.dt, rays.start);
    return (loss * fixed_factors(loss)).sum();
  };
  EXPECT_LT(gradient_error(f, w), 1e-7);
}

TEST(Accumulate, DifferentiatesTwice) {
  const RandomRays rays(4, 10, at::kDouble);
  const auto gradient_norm = [&](const at::Tensor& w) {
    const at::Tensor leaf = w.requires_grad() ? w : w.clone().requires_grad_();
    c10::AutoGradMode with_grad(true);
    const at::Tensor out = accumulate_along_rays(leaf, rays.rgb, rays.start);
    const auto g = torch::autograd::grad({out.pow(3).sum()}, {leaf}, {}, true, true);
    return g[0].square().sum();
  };
  EXPECT_LT(gradient_error(gradient_norm, rays.sigma * 0.1), 1e-6);
}

TEST(Composite, NoRaysAndNoSamplesGiveEmptyAndBackground) {
  const at::Tensor start = at::zeros({3}, at::kInt), none = at::empty({0});
  const Composited c = composite(none, at::empty({0, 3}), none, none, start, at::ones({3}));
  EXPECT_TRUE(at::equal(c.colour, at::ones({2, 3})));
  EXPECT_EQ(run_loss(RandomRays(0, 11), {}).result.n_used, 0);
}

}  // namespace
}  // namespace t3d::ops
