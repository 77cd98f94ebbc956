#include "t3d/optim/averaged_adamw.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "t3d/core/error.h"

namespace t3d::optim {
namespace {

TEST(AveragedAdamW, FollowsTheFormula) {
  auto w = at::tensor({1.0f, -2.0f});
  AveragedAdamW::Options options;
  options.max_grad_norm = 1e9;
  options.weight_decay = 0.1;
  AveragedAdamW adam({{"w", w}}, options);
  double x = 1, m = 0, v = 0, average = 1;
  for (int t = 1; t <= 5; ++t) {
    (w.square().sum() * 1.5).backward();
    adam.step(0.01);
    const double g = 3 * x;
    m = 0.9 * m + 0.1 * g;
    v = 0.99 * v + 0.01 * g * g;
    x = x * (1 - 0.01 * 0.1) -
        0.01 * (m / (1 - std::pow(0.9, t))) / (std::sqrt(v / (1 - std::pow(0.99, t))) + 1e-8);
    const double d = std::min(0.999, (1.0 + t) / (10.0 + t));
    average = d * average + (1 - d) * x;
    EXPECT_NEAR(w[0].item<double>(), x, 1e-6);
    EXPECT_NEAR(adam.averaged().at("w")[0].item<double>(), average, 1e-6);
    EXPECT_EQ(w.grad().norm().item<double>(), 0);
  }
}

TEST(AveragedAdamW, SkipsGradientsThatAreNotFinite) {
  auto w = at::tensor({1.0f});
  AveragedAdamW adam({{"w", w}}, {});
  (w * NAN).sum().backward();
  EXPECT_FALSE(std::isfinite(adam.step(0.1)));
  EXPECT_EQ(w.item<double>(), 1);
  EXPECT_EQ(adam.n_steps(), 0);
}

TEST(AveragedAdamW, NetworksSeeWeightsOfTheComputeType) {
  auto w = at::tensor({1.0f, 3.0f}), unused = at::ones({3});
  const auto same_object = w;
  AveragedAdamW::Options options;
  options.compute_type = at::kBFloat16;
  AveragedAdamW adam({{"w", w}, {"unused", unused}}, options);
  EXPECT_EQ(same_object.scalar_type(), at::kBFloat16);
  w.sum().backward();
  EXPECT_EQ(adam.gradients().sum().item<double>(), 2);
  adam.step(1e-4);  // below bfloat16's resolution, so only the weights that are kept move
  EXPECT_EQ(same_object[0].item<double>(), 1);
  EXPECT_NEAR(adam.state().at("weight.w")[0].item<double>(), 1 - 1e-4, 1e-6);
  for (int i = 0; i < 99; ++i) {
    w.sum().backward();
    adam.step(1e-4);
  }
  EXPECT_NEAR(same_object[0].item<double>(), 0.99, 4e-3);
}

TEST(AveragedAdamW, RestoresItsState) {
  const auto run = [](AveragedAdamW& adam, const at::Tensor& w, int n) {
    for (int i = 0; i < n; ++i) {
      w.pow(4).sum().backward();
      adam.step(0.05);
    }
  };
  auto whole = at::tensor({1.5f, 2.0f}), first = whole.clone(), second = at::zeros({2});
  AveragedAdamW a({{"w", whole}}, {}), b({{"w", first}}, {}), c({{"w", second}}, {});
  run(a, whole, 7);
  run(b, first, 3);
  c.restore(b.state(), b.n_steps());
  run(c, second, 4);
  EXPECT_TRUE(whole.equal(second));
  EXPECT_THROW(c.restore({}, 0), UserError);
}

}  // namespace
}  // namespace t3d::optim
