#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "t3d/diffusion/analytic_denoiser.h"
#include "t3d/guidance/stable_diffusion_asd.h"
#include "t3d/guidance/stable_diffusion_vsd.h"

/// What the methods do to a cloud of particles in the plane, where the best denoiser of the target, a mixture
/// of Gaussians, is known in closed form.
namespace t3d::guidance {
namespace {

namespace ds = t3d::diffusion;

const double kHeavy = 0.7;  // weight of the first mode

/// Modes at (1.2, 0.6) with weight 0.7 and (-1.2, -0.2) with 0.3, deviation 0.3: mean (0.48, 0.36).
ds::AnalyticDenoiser::Mixture target() {
  const auto means = at::tensor({1.2f, 0.6f, -1.2f, -0.2f}).reshape({2, 2, 1, 1});
  return {means, at::tensor({0.3f, 0.3f}), at::tensor({0.7f, 0.3f})};
}

at::Tensor target_mean() {
  const auto mixture = target();
  return (mixture.means.flatten(1) * mixture.weights.unsqueeze(1)).sum(0);  // [2]
}

std::shared_ptr<Model> analytic_model() {
  auto model = std::make_shared<Model>();
  model->name = "mixture";
  model->denoiser = std::make_shared<ds::AnalyticDenoiser>(target(), model->schedule);
  model->latent_height = model->latent_width = 1;
  return model;
}

/// n samples of the target, [n,1,1,2].
at::Tensor samples(int64_t n) {
  const auto mixture = target();
  const auto first = (at::arange(n) < kHeavy * static_cast<double>(n)).to(at::kLong);
  const auto means = mixture.means.flatten(1).index_select(0, 1 - first);  // [n,2]
  return (means + 0.3 * at::randn({n, 2})).reshape({n, 1, 1, 2});
}

/// Gradient descent on particles x [n,1,1,2] with a rate that falls to a tenth.
at::Tensor descend(Guidance& guidance, at::Tensor x, int n_steps, double rate,
                   const std::function<void(const at::Tensor&)>& before_step = nullptr) {
  const auto nothing = at::zeros({1, 1});
  const PromptEmbeddings prompt(nothing, nothing, nothing.expand({4, -1, -1}));
  Rng rng(1);
  const int64_t n = x.size(0);
  Views views;
  views.is_latent = true;
  views.angles = {at::zeros({n}), at::zeros({n}), {}};
  for (int step = 0; step < n_steps; ++step) {
    guidance.update_step(step);
    if (before_step) before_step(x);
    views.rgb = x.detach().clone().requires_grad_();
    guidance(views, prompt, rng).losses.begin()->second.backward();
    const double now = rate * (1 - 0.9 * step / n_steps);
    x = x - now * static_cast<double>(n) * views.rgb.grad();
  }
  return x;
}

struct Cloud {
  double heavy = 0;              // share of particles in the first mode
  at::Tensor means, deviations;  // [2,2] of each mode's particles
  at::Tensor mean;               // [2]
};

Cloud cloud_of(const at::Tensor& x) {
  const auto points = x.flatten(1);  // [n,2]
  const auto is_heavy = points.select(1, 0) > 0;
  Cloud out;
  out.heavy = is_heavy.to(at::kFloat).mean().item<double>();
  std::vector<at::Tensor> means, deviations;
  for (const auto& chosen : {is_heavy, is_heavy.logical_not()}) {
    const auto own = points.index({chosen});
    means.push_back(own.size(0) > 0 ? own.mean(0) : at::full({2}, NAN));
    deviations.push_back(own.size(0) > 1 ? own.std(0) : at::full({2}, NAN));
  }
  out.means = at::stack(means);
  out.deviations = at::stack(deviations);
  out.mean = points.mean(0);
  return out;
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

/// phi without training: the particles themselves, each a Gaussian of deviation `bandwidth`.
ParticleScore exact_score(const at::Tensor& x, double bandwidth, const ds::NoiseSchedule& schedule) {
  const int64_t n = x.size(0);
  ds::AnalyticDenoiser::Mixture mixture{x.detach().permute({0, 3, 1, 2}).contiguous(),
                                        at::full({n}, bandwidth, at::kFloat),
                                        at::full({n}, 1.0 / n, at::kFloat)};
  return {std::make_shared<ds::AnalyticDenoiser>(std::move(mixture), schedule), schedule, {}, false};
}

constexpr double kBandwidth = 0.12;

at::Tensor vsd(at::Tensor x, int n_steps) {
  const auto model = analytic_model();
  StableDiffusionVsd::Config config;
  config.guidance_scale = 1;
  StableDiffusionVsd guidance(config, model, ParticleScore());
  return descend(guidance, std::move(x), n_steps, 0.05, [&](const at::Tensor& now) {
    guidance.set_phi(exact_score(now, kBandwidth, model->schedule));
  });
}

TEST(Particles, SdsCollapsesToOneMode) {
  at::manual_seed(1);
  StableDiffusionSds::Config config;
  config.guidance_scale = 0;  // in threestudio's count: the prompt alone
  using config::Node;
  constexpr int kSteps = 1500;
  config.max_step_percent =
      config::Schedule(Node(Node::List{Node(int64_t{0}), Node(0.98), Node(0.3), Node(int64_t{kSteps / 2})}));
  StableDiffusionSds guidance(config, analytic_model());
  const auto found = cloud_of(descend(guidance, at::randn({64, 1, 1, 2}), kSteps, 0.1));
  EXPECT_EQ(found.heavy, 1);  // no particle is left in the other mode, which has a third of the weight
  EXPECT_LT(distance(found.means[0], target().means[0].flatten()), 0.1);
  EXPECT_LT(found.deviations[0].max().item<double>(), 0.15);  // the mode's own is 0.3
}

TEST(Particles, VsdRecoversModesAndWeights) {
  at::manual_seed(2);
  const auto found = cloud_of(vsd(at::randn({128, 1, 1, 2}), 1500));
  EXPECT_NEAR(found.heavy, kHeavy, 0.06);
  EXPECT_LT(distance(found.means, target().means.flatten(1)), 0.15);
  EXPECT_LT(distance(found.deviations, at::full({2, 2}, 0.3f)), 0.15);
  EXPECT_LT(distance(found.mean, target_mean()), 0.08);
}

TEST(Particles, VsdKeepsTheTargetsMean) {
  at::manual_seed(3);
  const auto found = cloud_of(vsd(samples(128), 300));
  EXPECT_LT(distance(found.mean, target_mean()), 0.06);
  EXPECT_NEAR(found.heavy, kHeavy, 0.04);
}

TEST(Particles, AsdKeepsTheTargetsMean) {
  at::manual_seed(4);
  StableDiffusionAsd::Config config;
  config.guidance_scale = 1;
  StableDiffusionAsd guidance(config, analytic_model());
  const auto found = cloud_of(descend(guidance, samples(256), 300, 0.05));
  EXPECT_LT(distance(found.mean, target_mean()), 0.06);
  EXPECT_NEAR(found.heavy, kHeavy, 0.04);
}

}  // namespace
}  // namespace t3d::guidance
