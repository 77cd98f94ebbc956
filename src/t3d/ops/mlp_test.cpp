#include "t3d/ops/mlp.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <omp.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <random>

#include "t3d/core/error.h"
#include "t3d/ops/activation.h"
#include "t3d/ops/frequency.h"
#include "t3d/ops/simd.h"
#include "t3d/ops/spherical_harmonics.h"

namespace t3d::ops {
namespace {

at::Tensor uniform_tensor(at::IntArrayRef sizes, int seed, at::ScalarType type = at::kFloat,
                          double size = 1) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> draw(-1.f, 1.f);
  at::Tensor out = at::empty(sizes, at::kFloat);
  for (int64_t i = 0; i < out.numel(); ++i) out.data_ptr<float>()[i] = draw(engine);
  return out.to(type) * size;
}

double relative(const at::Tensor& a, const at::Tensor& b) {
  return ((a.to(at::kDouble) - b.to(at::kDouble)).abs().max() / b.abs().max().to(at::kDouble)).item<double>();
}

struct Case {
  MlpConfig config;
  int64_t n;
};

class MlpKernels : public ::testing::TestWithParam<std::tuple<Case, Simd>> {
 protected:
  void SetUp() override {
    before_ = simd();
    set_simd(std::get<1>(GetParam()));
  }
  void TearDown() override { set_simd(before_); }
  Simd before_;
};

TEST_P(MlpKernels, ForwardAndBackwardMatchReference) {
  const auto& [config, n] = std::get<0>(GetParam());
  const at::Tensor dy = uniform_tensor({n, config.n_out}, 3, at::kDouble);
  at::Tensor xd = uniform_tensor({n, config.n_in}, 1, at::kDouble).set_requires_grad(true);
  at::Tensor pd = mlp_init_xavier(config, 2).to(at::kDouble).set_requires_grad(true);
  const at::Tensor yd = mlp(xd, pd, config);
  const auto gd = torch::autograd::grad({(yd * dy).sum()}, {xd, pd});

  at::Tensor x = xd.detach().to(at::kFloat).set_requires_grad(true),
             p = pd.detach().to(at::kFloat).set_requires_grad(true);
  const at::Tensor y = mlp(x, p, config);
  const auto g = torch::autograd::grad({(y * dy.to(at::kFloat)).sum()}, {x, p});
  EXPECT_LT(relative(y, yd), 2e-5);
  EXPECT_LT(relative(g[0], gd[0]), 2e-5);
  EXPECT_LT(relative(g[1], gd[1]), 2e-5);
}

TEST_P(MlpKernels, GroupedRowsAndRecomputedActivationsGiveTheSame) {
  const auto& [config, n] = std::get<0>(GetParam());
  const int g = config.n_in % 2 == 0 ? 2 : 1;
  const at::Tensor x = uniform_tensor({n, config.n_in}, 1), dy = uniform_tensor({n, config.n_out}, 3),
                   p = mlp_init_xavier(config, 2);
  const at::Tensor levels = x.reshape({n, config.n_in / g, g}).transpose(0, 1).contiguous();  // [n_in/g,N,g]
  at::Tensor y = at::empty({n, config.n_out}), y2 = at::empty_like(y), dx = at::empty_like(x),
             dx2 = at::empty_like(levels);
  at::Tensor dp = at::ones_like(p), dp2 = at::ones_like(p),
             hidden = at::empty({cpu::mlp_hidden_size(config, n)});
  const auto f = [](const at::Tensor& t) { return t.data_ptr<float>(); };
  const auto by_row = rows<const float>(f(x), config.n_in);
  const auto by_level = level_rows<const float>(f(levels), n, g);
  const auto dy_rows = rows<const float>(f(dy), config.n_out);
  cpu::mlp_forward(config, f(p), by_row, n, rows(f(y), config.n_out), f(hidden));
  cpu::mlp_forward(config, f(p), by_level, n, rows(f(y2), config.n_out), nullptr);
  cpu::mlp_backward(config, f(p), by_row, n, rows<const float>(f(y), config.n_out), f(hidden), dy_rows,
                    rows(f(dx), config.n_in), f(dp));
  cpu::mlp_backward(config, f(p), by_level, n, rows<const float>(f(y2), config.n_out), nullptr, dy_rows,
                    level_rows(f(dx2), n, g), f(dp2));
  EXPECT_TRUE(y.equal(y2));
  EXPECT_TRUE(dx.equal(dx2.transpose(0, 1).reshape({n, config.n_in})));
  EXPECT_TRUE(dp.equal(dp2));
}

INSTANTIATE_TEST_SUITE_P(
    All, MlpKernels,
    ::testing::Combine(::testing::Values(Case{{32, 16, 64, 1, Activation::None}, 200},
                                         Case{{32, 4, 64, 2, Activation::None}, 97},
                                         Case{{32, 3, 64, 2, Activation::Sigmoid}, 96},
                                         Case{{3, 1, 16, 1, Activation::TruncExp}, 5},
                                         Case{{20, 33, 128, 4, Activation::Softplus}, 131},
                                         Case{{7, 8, 48, 3, Activation::Relu}, 300},
                                         Case{{64, 9, 32, 1, Activation::Sigmoid}, 1},
                                         Case{{130, 128, 112, 2, Activation::None}, 100}),
                       ::testing::Values(Simd::Portable, Simd::Avx2, Simd::Avx512)));

TEST(Mlp, HiddenActivationsStayInsideTheirRoomWhereverItBegins) {
  const MlpConfig config{32, 4, 64, 2, Activation::None};
  const int64_t n = 200, size = cpu::mlp_hidden_size(config, n);
  const at::Tensor x = uniform_tensor({n, 32}, 1), p = mlp_init_xavier(config, 2);
  at::Tensor y = at::empty({n, 4});
  for (int64_t offset = 1; offset < 16; offset += 3) {
    std::vector<float> room(offset + size + 32, -7.f);
    cpu::mlp_forward(config, p.data_ptr<float>(), rows<const float>(x.data_ptr<float>(), 32), n,
                     rows(y.data_ptr<float>(), 4), room.data() + offset);
    for (int64_t i = 0; i < offset; ++i) ASSERT_EQ(room[i], -7.f);
    for (int64_t i = offset + size; i < offset + size + 32; ++i) ASSERT_EQ(room[i], -7.f);
  }
}

TEST(Mlp, ResultsDoNotDependOnTheNumberOfThreads) {
  const MlpConfig config{32, 4, 64, 2, Activation::Sigmoid};
  const int threads = omp_get_max_threads();
  std::vector<at::Tensor> results;
  for (int t : {1, 3}) {
    omp_set_num_threads(t);
    at::Tensor x = uniform_tensor({5000, 32}, 1).set_requires_grad(true),
               p = mlp_init_uniform(config, 2).set_requires_grad(true);
    const auto g = torch::autograd::grad({mlp(x, p, config).square().sum()}, {x, p});
    results.push_back(at::cat({g[0].reshape({-1}), g[1]}));
  }
  omp_set_num_threads(threads);
  EXPECT_TRUE(results[0].equal(results[1]));
}

TEST(Mlp, SecondGradientsMatchDouble) {
  for (Activation activation :
       {Activation::None, Activation::Sigmoid, Activation::TruncExp, Activation::Softplus}) {
    const MlpConfig config{6, 3, 32, 2, activation};
    std::vector<at::Tensor> results[2];
    for (int k = 0; k < 2; ++k) {
      const at::ScalarType type = k == 0 ? at::kFloat : at::kDouble;
      at::Tensor x = uniform_tensor({40, 6}, 1).to(type).set_requires_grad(true);
      at::Tensor p = mlp_init_xavier(config, 2).to(type).set_requires_grad(true);
      const at::Tensor g =
          torch::autograd::grad({mlp(x, p, config).square().sum()}, {x}, {}, c10::nullopt, true)[0];
      results[k] = torch::autograd::grad({g.square().sum()}, {x, p});
    }
    EXPECT_LT(relative(results[0][0], results[1][0]), 1e-4);
    EXPECT_LT(relative(results[0][1], results[1][1]), 1e-4);
  }
}

TEST(Mlp, InitialWeightsFollowTheFanIn) {
  const MlpConfig config{32, 16, 64, 1, Activation::None};
  const at::Tensor p = mlp_init_uniform(config, 1);
  EXPECT_EQ(p.numel(), 32 * 64 + 64 * 16);
  EXPECT_NEAR(p.slice(0, 0, 2048).abs().max().item<double>(), 1 / std::sqrt(32.0), 1e-3);
  EXPECT_NEAR(p.slice(0, 2048).abs().max().item<double>(), 1 / 8.0, 1e-3);
  EXPECT_NEAR(mlp_init_xavier(config, 1).slice(0, 0, 2048).abs().max().item<double>(), 0.25, 1e-3);
}

TEST(Mlp, SizesOutOfRangeAreRefused) {
  EXPECT_THROW(mlp_layers({32, 16, 60, 1, Activation::None}), UserError);
  EXPECT_THROW(mlp_layers({32, 16, 64, 5, Activation::None}), UserError);
  EXPECT_THROW(mlp_layers({32, 0, 64, 1, Activation::None}), UserError);
  EXPECT_THROW(activation_from_name("sigmiod"), UserError);
}

TEST(TruncExp, ClampsTheExponentOfItsDerivativeOnly) {
  at::Tensor x = at::empty({3}, at::kDouble);
  x.data_ptr<double>()[0] = -20;
  x.data_ptr<double>()[1] = 0.5;
  x.data_ptr<double>()[2] = 20;
  x.set_requires_grad(true);
  const at::Tensor y = trunc_exp(x), g = torch::autograd::grad({y.sum()}, {x})[0];
  EXPECT_DOUBLE_EQ(y[2].item<double>(), std::exp(20.0));
  EXPECT_DOUBLE_EQ(g[0].item<double>(), std::exp(-15.0));
  EXPECT_DOUBLE_EQ(g[1].item<double>(), std::exp(0.5));
  EXPECT_DOUBLE_EQ(g[2].item<double>(), std::exp(15.0));
}

at::Tensor unit_directions(int64_t n, at::ScalarType type) {
  const at::Tensor d = at::randn({n, 3}, at::kDouble);
  return (d / d.norm(2, 1, true)).to(type);
}

TEST(SphericalHarmonics, MatchTheTabulatedPolynomials) {
  const at::Tensor d = unit_directions(50, at::kDouble);
  const at::Tensor x = d.select(1, 0), y = d.select(1, 1), z = d.select(1, 2);
  const at::Tensor expected =
      at::stack({at::full_like(x, 0.28209479177387814), -0.48860251190291987 * y, 0.48860251190291987 * z,
                 -0.48860251190291987 * x, 1.0925484305920792 * x * y, -1.0925484305920792 * y * z,
                 0.94617469575755997 * z * z - 0.31539156525251999, -1.0925484305920792 * x * z,
                 0.54627421529603959 * (x * x - y * y), 0.59004358992664352 * y * (-3 * x * x + y * y),
                 2.8906114426405538 * x * y * z, 0.45704579946446572 * y * (1 - 5 * z * z),
                 0.3731763325901154 * z * (5 * z * z - 3), 0.45704579946446572 * x * (1 - 5 * z * z),
                 1.4453057213202769 * z * (x * x - y * y), 0.59004358992664352 * x * (-x * x + 3 * y * y)},
                1);
  EXPECT_LT((spherical_harmonics(d, 4) - expected).abs().max().item<double>(), 1e-14);
  EXPECT_LT((spherical_harmonics(d.to(at::kFloat), 4).to(at::kDouble) - expected).abs().max().item<double>(),
            1e-6);
}

TEST(SphericalHarmonics, AreOrthonormalUpToDegreeEight) {
  const int n = 200;  // midpoint rule in longitude and in z: exact enough for polynomials of degree 14
  at::Tensor d = at::empty({n * n, 3}, at::kDouble);
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) {
      const double z = -1 + (i + 0.5) * 2 / n, a = (j + 0.5) * 2 * M_PI / n, r = std::sqrt(1 - z * z);
      double* to = d.data_ptr<double>() + (i * n + j) * 3;
      to[0] = r * std::cos(a);
      to[1] = r * std::sin(a);
      to[2] = z;
    }
  const at::Tensor y = spherical_harmonics(d, 8);
  const at::Tensor products = at::matmul(y.t(), y) * (4 * M_PI / (n * n));
  EXPECT_LT((products - at::eye(64, at::kDouble)).abs().max().item<double>(), 5e-3);
}

TEST(SphericalHarmonics, FastGradientsMatchDoubleAtEveryDegree) {
  for (int degree = 1; degree <= kMaxShDegree; ++degree) {
    std::vector<at::Tensor> first, second;
    const at::Tensor d0 = unit_directions(37, at::kDouble),
                     dy = uniform_tensor({37, degree * degree}, 5, at::kDouble);
    for (at::ScalarType type : {at::kFloat, at::kDouble}) {
      at::Tensor d = d0.to(type).set_requires_grad(true);
      const at::Tensor loss = (spherical_harmonics(d, degree) * dy.to(type)).sum();
      if (degree > 1) first.push_back(torch::autograd::grad({loss}, {d}, {}, true, false)[0]);
      if (degree < 3) continue;
      const at::Tensor g = torch::autograd::grad({loss}, {d}, {}, c10::nullopt, true)[0];
      second.push_back(torch::autograd::grad({g.square().sum()}, {d})[0]);
    }
    if (degree > 1) {
      EXPECT_LT(relative(first[0], first[1]), 1e-5);
    }
    if (degree > 2) {
      EXPECT_LT(relative(second[0], second[1]), 1e-5);
    }
  }
}

TEST(Frequency, OrderIsDimensionThenBandThenSineCosine) {
  at::Tensor x = at::empty({1, 2}, at::kDouble);
  x.data_ptr<double>()[0] = 0.3;
  x.data_ptr<double>()[1] = -0.7;
  const at::Tensor y = frequency_encode(x, 3);
  ASSERT_EQ(y.size(1), 12);
  for (int d = 0; d < 2; ++d)
    for (int k = 0; k < 3; ++k) {
      const double phase = std::ldexp(M_PI, k) * x[0][d].item<double>();
      EXPECT_NEAR(y[0][d * 6 + k * 2].item<double>(), std::sin(phase), 1e-12);
      EXPECT_NEAR(y[0][d * 6 + k * 2 + 1].item<double>(), std::cos(phase), 1e-12);
    }
}

TEST(Frequency, ProgressiveBandsOpenOneAfterTheOther) {
  EXPECT_EQ(band_weight(3, 6, 0, 0), 1);
  EXPECT_EQ(band_weight(0, 6, 0, 600), 0);
  EXPECT_NEAR(band_weight(0, 6, 50, 600), 0.5, 1e-12);
  EXPECT_EQ(band_weight(0, 6, 100, 600), 1);
  EXPECT_EQ(band_weight(1, 6, 100, 600), 0);
  at::Tensor x = at::full({1, 2}, 0.4, at::kDouble);
  const at::Tensor y = progressive_frequency_encode(x, 2, 150, 200);
  ASSERT_EQ(y.size(1), 8);
  EXPECT_NEAR(y[0][1].item<double>(), std::sin(0.4), 1e-12);
  EXPECT_NEAR(y[0][2].item<double>(), std::cos(0.4), 1e-12);
  EXPECT_NEAR(y[0][5].item<double>(), std::sin(0.8) * band_weight(1, 2, 150, 200), 1e-12);
}

}  // namespace
}  // namespace t3d::ops
