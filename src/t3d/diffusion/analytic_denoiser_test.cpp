#include "t3d/diffusion/analytic_denoiser.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "t3d/core/error.h"
#include "t3d/diffusion/scheduler.h"

namespace t3d::diffusion {
namespace {

/// With mean zero, like the noise that walks start from: Stable Diffusion's last step keeps 7 % of the
/// signal.
AnalyticDenoiser::Mixture two_modes() {
  const auto means = at::stack({at::full({4, 1, 1}, 0.6f), at::full({4, 1, 1}, -1.4f)});
  return {means, at::tensor({0.3f, 0.1f}), at::tensor({0.7f, 0.3f})};
}

TEST(AnalyticDenoiser, ScoreIsTheGradientOfTheLogDensity) {
  const AnalyticDenoiser denoiser(two_modes(), NoiseSchedule());
  const auto t = at::tensor({5, 300, 990}, at::kLong);
  for (const auto& labels : {at::Tensor(), at::tensor({0, 1, -1}, at::kLong)}) {
    auto x = at::randn({3, 4, 1, 1}).set_requires_grad(true);
    denoiser.log_density(x, t, labels).sum().backward();
    const auto expected = x.grad(), found = denoiser.score(x.detach(), t, labels);
    EXPECT_LT(((found - expected).abs().max() / expected.abs().max()).item<float>(), 1e-5);
  }
}

TEST(AnalyticDenoiser, PredictionsAgree) {
  const NoiseSchedule schedule;
  const auto x = at::randn({3, 4, 1, 1});
  const auto t = at::tensor({5, 300, 990}, at::kLong);
  const AnalyticDenoiser eps(two_modes(), schedule), v(two_modes(), schedule, Prediction::Velocity);
  const auto expected = eps.predict(x, t, {});
  const auto found = schedule.noise_of(v.predict(x, t, {}), x, t, Prediction::Velocity);
  EXPECT_LT((found - expected).abs().max().item<float>(), 1e-4);
}

/// Every sampler draws from the mixture: shares, means and deviations of the modes.
TEST(AnalyticDenoiser, SamplersRecoverModesAndWeights) {
  const NoiseSchedule schedule;
  const AnalyticDenoiser denoiser(two_modes(), schedule);
  const int64_t n = 4000;
  const auto generator_noise = [&] { return at::randn({n, 4, 1, 1}); };
  at::manual_seed(3);
  for (const auto kind :
       {SchedulerConfig::Kind::Ddim, SchedulerConfig::Kind::Ddpm, SchedulerConfig::Kind::Euler,
        SchedulerConfig::Kind::DpmSolver, SchedulerConfig::Kind::Pndm}) {
    SchedulerConfig config;
    config.kind = kind;
    config.spacing = SchedulerConfig::Spacing::Trailing;
    const auto scheduler = make_scheduler(config);
    scheduler->start(kind == SchedulerConfig::Kind::Ddpm ? 250 : 50);
    auto x = generator_noise() * scheduler->init_noise_sigma();
    while (!scheduler->done()) {
      const auto t = at::full({1}, scheduler->timestep(), at::kDouble);
      x = scheduler->step(denoiser.predict(scheduler->scaled_input(x), t, {}), x, generator_noise);
    }
    SCOPED_TRACE(static_cast<int>(kind));
    const auto flat = x.flatten(1);
    const auto first = flat.mean(1).gt(-0.4);
    EXPECT_NEAR(first.to(at::kFloat).mean().item<float>(), 0.7, 0.03);
    const auto a = flat.index({first}), b = flat.index({first.logical_not()});
    EXPECT_NEAR(a.mean().item<float>(), 0.6, 0.03);
    EXPECT_NEAR(b.mean().item<float>(), -1.4, 0.03);
    EXPECT_NEAR(a.std().item<float>(), 0.3, 0.05);
    EXPECT_NEAR(b.std().item<float>(), 0.1, 0.05);
  }
}

TEST(AnalyticDenoiser, LabelsPickAMode) {
  const AnalyticDenoiser denoiser(two_modes(), NoiseSchedule(), Prediction::Sample);
  Condition condition;
  condition.class_labels = at::tensor({0, 1}, at::kLong);
  const auto clean = denoiser.predict(at::zeros({2, 4, 1, 1}), at::full({1}, 999), condition);
  EXPECT_NEAR(clean[0].mean().item<float>(), 0.6, 0.02);
  EXPECT_NEAR(clean[1].mean().item<float>(), -1.4, 0.02);
}

}  // namespace
}  // namespace t3d::diffusion
