#include "t3d/ops/adam.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace t3d::ops {
namespace {

at::Tensor uniform_floats(int64_t n, int seed) {
  std::mt19937 engine(static_cast<uint32_t>(seed));
  std::uniform_real_distribution<float> draw(-1.f, 1.f);
  at::Tensor out = at::empty({n}, at::kFloat);
  for (int64_t i = 0; i < n; ++i) out.data_ptr<float>()[i] = draw(engine);
  return out;
}

/// One step as adam_config.h states it, in double.
void adam_by_formula(std::vector<double>& p, std::vector<double>& m, std::vector<double>& v,
                     const std::vector<double>& g, const AdamConfig& c, double lr, int64_t step) {
  for (size_t i = 0; i < p.size(); ++i) {
    if (c.skip_zero_gradients && g[i] == 0) continue;
    const double gradient = g[i] + c.l2 * p[i];
    m[i] = c.beta1 * m[i] + (1 - c.beta1) * gradient;
    v[i] = c.beta2 * v[i] + (1 - c.beta2) * gradient * gradient;
    p[i] = p[i] * (1 - lr * c.weight_decay) - lr * (m[i] / (1 - std::pow(c.beta1, step))) /
                                                  (std::sqrt(v[i] / (1 - std::pow(c.beta2, step))) + c.eps);
  }
}

TEST(Adam, TheKernelAndTheReferenceAreTheSame) {
  AdamConfig config;
  config.l2 = 0.1, config.weight_decay = 0.2;
  const auto gradients = at::randn({50}), start = at::randn({50});
  for (const bool clear : {false, true}) {
    const auto stepped = [&](at::ScalarType type) {
      const auto p = start.to(type, false, true), m = at::zeros_like(p), v = at::zeros_like(p);
      for (int step = 1; step < 4; ++step) {
        const auto g = gradients.to(type, false, true);
        adam_step(p, g, m, v, config, 1e-2, step, 0.3, clear);
        EXPECT_TRUE(g.equal(clear ? at::zeros_like(g) : gradients.to(type)));
      }
      return at::stack({p, m, v});
    };
    EXPECT_LT((stepped(at::kFloat) - stepped(at::kDouble)).abs().max().item<double>(), 1e-6);
  }
}

TEST(Adam, FollowsTheFormulaForManySteps) {
  for (bool skip : {false, true}) {
    AdamConfig config;
    config.l2 = 1e-3;
    config.weight_decay = 1e-2;
    config.skip_zero_gradients = skip;
    const int64_t n = 1003;
    at::Tensor p = uniform_floats(n, 1), m = at::zeros({n}), v = at::zeros({n});
    std::vector<double> pd(n), md(n), vd(n), gd(n);
    for (int64_t i = 0; i < n; ++i) pd[i] = p.data_ptr<float>()[i];
    for (int64_t step = 1; step <= 20; ++step) {
      at::Tensor g = uniform_floats(n, static_cast<int>(10 + step));
      g.slice(0, 100, 400).zero_();
      g.slice(0, 0, 50, 3).zero_();
      for (int64_t i = 0; i < n; ++i) gd[i] = g.data_ptr<float>()[i];
      adam_step(p, g, m, v, config, 1e-2, step);
      adam_by_formula(pd, md, vd, gd, config, 1e-2, step);
    }
    for (int64_t i = 0; i < n; ++i) ASSERT_NEAR(p.data_ptr<float>()[i], pd[i], 2e-6) << i;
  }
}

TEST(Adam, RawStepClearsGradientsAndUndoesTheLossScale) {
  std::vector<float> p(100, 1.f), q = p, g(100, 2.f), h(100, 2.f * 128), m(100), v(100), m2(100), v2(100);
  g[5] = h[5] = 0;
  const AdamConfig config;
  cpu::adam_step(p.data(), g.data(), m.data(), v.data(), 100, adam_factors(config, 1e-2, 1));
  cpu::adam_step(q.data(), h.data(), m2.data(), v2.data(), 100, adam_factors(config, 1e-2, 1, 1.0 / 128));
  EXPECT_EQ(p, q);
  EXPECT_EQ(g, std::vector<float>(100, 0.f));
  EXPECT_FLOAT_EQ(p[0], 0.99f);
  EXPECT_FLOAT_EQ(p[5], 1.f);
}

}  // namespace
}  // namespace t3d::ops
