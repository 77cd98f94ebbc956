#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <omp.h>
#include <torch/csrc/autograd/autograd.h>

#include <cstring>
#include <random>

#include "t3d/core/error.h"
#include "t3d/ops/matrix_unit.h"
#include "t3d/ops/mlp.h"
#include "t3d/ops/mlp_bf16.h"
#include "t3d/ops/simd.h"

namespace t3d::ops {
namespace {

at::Tensor uniform_tensor(at::IntArrayRef sizes, int seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> draw(-1.f, 1.f);
  at::Tensor out = at::empty(sizes, at::kFloat);
  for (int64_t i = 0; i < out.numel(); ++i) out.data_ptr<float>()[i] = draw(engine);
  return out;
}

at::Tensor small_integers(at::IntArrayRef sizes, int seed, int largest) {
  std::mt19937 engine(seed);
  at::Tensor out = at::empty(sizes, at::kFloat);
  for (int64_t i = 0; i < out.numel(); ++i)
    out.data_ptr<float>()[i] = static_cast<float>(static_cast<int>(engine() % (2 * largest + 1)) - largest);
  return out;
}

/// Two weights of +-1 in every row, and in every column of the square matrices: what comes out of each layer
/// stays a small integer, which bfloat16 holds exactly.
at::Tensor sparse_weights(const MlpConfig& config, int seed) {
  std::mt19937 engine(seed);
  at::Tensor params = at::zeros({mlp_n_params(config)}, at::kFloat);
  for (const MlpLayer& l : mlp_layers(config))
    for (int o = 0; o < l.n_out; ++o)
      for (int i : {o, o + 1})
        params.data_ptr<float>()[l.first + int64_t{o} * l.n_in + i % l.n_in] = engine() % 2 == 0 ? 1.f : -1.f;
  return params;
}

MlpConfig network(int n_in, int n_out, int n_neurons, int n_hidden,
                  Activation activation = Activation::None) {
  return {n_in, n_out, n_neurons, n_hidden, activation, Precision::Bfloat16};
}

/// To the nearest bfloat16, ties away from zero.
at::Tensor rounded(const at::Tensor& t) {
  at::Tensor out = t.to(at::kFloat).contiguous().clone();
  for (int64_t i = 0; i < out.numel(); ++i) {
    uint32_t bits;
    std::memcpy(&bits, out.data_ptr<float>() + i, sizeof bits);
    bits = (bits + 0x8000u) & 0xffff0000u;
    std::memcpy(out.data_ptr<float>() + i, &bits, sizeof bits);
  }
  return out.to(at::kDouble);
}

struct Result {
  at::Tensor y, dx, dparams;
};

Result by_kernels(const MlpConfig& config, const at::Tensor& x0, const at::Tensor& params0,
                  const at::Tensor& dy) {
  const at::Tensor x = x0.detach().clone().set_requires_grad(true),
                   params = params0.detach().clone().set_requires_grad(true);
  const at::Tensor y = mlp(x, params, config);
  const auto g = torch::autograd::grad({(y * dy).sum()}, {x, params});
  return {y.detach(), g[0], g[1]};
}

/// What Precision::Bfloat16 promises, in double: the same roundings, sums without error.
Result by_definition(const MlpConfig& config, const at::Tensor& x, const at::Tensor& params,
                     const at::Tensor& dy) {
  const std::vector<MlpLayer> layers = mlp_layers(config);
  std::vector<at::Tensor> weights, inputs = {rounded(x)};
  for (const MlpLayer& l : layers)
    weights.push_back(rounded(params.narrow(0, l.first, int64_t{l.n_out} * l.n_in).view({l.n_out, l.n_in})));
  at::Tensor z;
  for (size_t l = 0; l < layers.size(); ++l) {
    z = at::matmul(inputs[l], weights[l].t());
    if (l + 1 < layers.size()) inputs.push_back(rounded(at::relu(z)));
  }
  at::Tensor y, slope;
  switch (config.output_activation) {
    case Activation::Relu:
      y = at::relu(z), slope = z.gt(0).to(at::kDouble);
      break;
    case Activation::Sigmoid:
      y = at::sigmoid(z), slope = y * (1 - y);
      break;
    case Activation::TruncExp:
      y = at::exp(z), slope = at::exp(at::clamp(z, -15, 15));
      break;
    case Activation::Softplus:
      y = at::softplus(z), slope = at::sigmoid(z);
      break;
    default:
      y = z, slope = at::ones_like(z);
  }
  at::Tensor d = rounded(dy.to(at::kDouble) * slope);
  std::vector<at::Tensor> parts(layers.size());
  for (size_t l = layers.size(); l-- > 0;) {
    parts[l] = at::matmul(d.t(), inputs[l]).reshape({-1});
    d = at::matmul(d, weights[l]);
    if (l > 0) d = rounded(d * inputs[l].gt(0).to(at::kDouble));
  }
  return {y, d, at::cat(parts)};
}

double mean_error(const at::Tensor& a, const at::Tensor& b) {
  return ((a.to(at::kDouble) - b).abs().mean() / b.abs().mean()).item<double>();
}

/// A sum one bit off can round the other way, which moves one number by a 256th part and what follows by
/// less.
void expect_close(const Result& found, const Result& expected) {
  EXPECT_LT(mean_error(found.y, expected.y), 1e-5);
  EXPECT_LT(mean_error(found.dx, expected.dx), 1e-4);
  EXPECT_LT(mean_error(found.dparams, expected.dparams), 1e-4);
}

class Bfloat16Mlp : public ::testing::TestWithParam<MatrixUnit> {
 protected:
  void SetUp() override {
    before_ = matrix_unit();
    set_matrix_unit(GetParam());
    if (matrix_unit() != GetParam()) GTEST_SKIP() << "this CPU has no " << matrix_unit_name(GetParam());
  }
  void TearDown() override { set_matrix_unit(before_); }
  MatrixUnit before_;
};

TEST_P(Bfloat16Mlp, IsExactOnSmallIntegersForEveryWidthAndDepth) {
  const int n_ins[] = {1, 3, 16, 32, 33, 63, 130}, n_outs[] = {1, 4, 16, 17, 33, 128};
  const int64_t batches[] = {1, 15, 17, 128, 131, 300};
  int64_t n_nonzero = 0;
  int k = 0;
  for (int n_neurons = 16; n_neurons <= 128; n_neurons += 16)
    for (int n_hidden = 1; n_hidden <= 4; ++n_hidden, ++k) {
      const MlpConfig config = network(n_ins[k % 7], n_outs[k % 6], n_neurons, n_hidden);
      const int64_t n = batches[k % 5 + (k % 2)];
      const at::Tensor x = small_integers({n, config.n_in}, k, 2),
                       dy = small_integers({n, config.n_out}, k + 1, 1);
      const at::Tensor params = sparse_weights(config, k);
      const Result found = by_kernels(config, x, params, dy), expected = by_definition(config, x, params, dy);
      EXPECT_TRUE(found.y.to(at::kDouble).equal(expected.y)) << k;
      EXPECT_TRUE(found.dx.to(at::kDouble).equal(expected.dx)) << k;
      EXPECT_TRUE(found.dparams.to(at::kDouble).equal(expected.dparams)) << k;
      n_nonzero += expected.dparams.ne(0).sum().item<int64_t>();
    }
  EXPECT_GT(n_nonzero, 10000);
}

TEST_P(Bfloat16Mlp, RoundsWhereItsDefinitionDoes) {
  for (Activation activation : {Activation::None, Activation::Relu, Activation::Sigmoid, Activation::TruncExp,
                                Activation::Softplus}) {
    const MlpConfig config = network(32, 4, 64, 2, activation);
    const at::Tensor x = uniform_tensor({1000, 32}, 1), dy = uniform_tensor({1000, 4}, 2);
    const at::Tensor params = mlp_init_xavier(config, 3);
    expect_close(by_kernels(config, x, params, dy), by_definition(config, x, params, dy));
  }
}

TEST_P(Bfloat16Mlp, GradientsFollowThoseOfFloat32) {
  MlpConfig config = network(32, 3, 64, 2, Activation::Sigmoid);
  const at::Tensor x = uniform_tensor({2000, 32}, 1), dy = uniform_tensor({2000, 3}, 2);
  const at::Tensor params = mlp_init_xavier(config, 3);
  const Result found = by_kernels(config, x, params, dy);
  config.precision = Precision::Float32;
  const Result exact = by_kernels(config, x, params, dy);
  const auto cosine = [](const at::Tensor& a, const at::Tensor& b) {
    return ((a * b).sum() / (a.norm() * b.norm())).item<double>();
  };
  EXPECT_GT(cosine(found.y, exact.y), 0.99999);
  // Less than in y: activations near zero switch on or off.
  EXPECT_GT(cosine(found.dx, exact.dx), 0.997);
  EXPECT_GT(cosine(found.dparams, exact.dparams), 0.998);
  EXPECT_FALSE(found.y.equal(exact.y));  // it did run in bfloat16
}

/// One batch in one layout: float numbers in a buffer whose other places must stay as they are.
struct Placed {
  at::Tensor buffer;
  Rows<float> rows;
};

class Bfloat16MlpLayouts : public ::testing::Test {
 protected:
  static constexpr float kUntouched = -77.f;

  /// [n,columns]; layout 0: row by row; 1: inside wider rows; 2, 3, 4: in groups of 1, 2, 4, each group's
  /// rows together.
  static Placed place(const at::Tensor& numbers, int layout) {
    const int64_t n = numbers.size(0), columns = numbers.size(1);
    const int64_t wide = columns + 5, group = layout < 2 ? columns : int64_t{1} << (layout - 2);
    Placed p;
    p.buffer = at::full({n * wide + 64}, kUntouched);
    float* first = p.buffer.data_ptr<float>() + 7;
    p.rows = layout == 0   ? rows(first, columns)
             : layout == 1 ? rows(first, columns, wide)
                           : level_rows(first, n, group);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t c = 0; c < columns; ++c) p.rows.at(i, c) = numbers.data_ptr<float>()[i * columns + c];
    return p;
  }

  static at::Tensor taken(const Placed& p, int64_t n, int64_t columns) {
    at::Tensor out = at::empty({n, columns});
    for (int64_t i = 0; i < n; ++i)
      for (int64_t c = 0; c < columns; ++c) out.data_ptr<float>()[i * columns + c] = p.rows.at(i, c);
    return out;
  }

  static int64_t n_untouched(const Placed& p) { return p.buffer.eq(kUntouched).sum().item<int64_t>(); }
};

TEST_F(Bfloat16MlpLayouts, GiveTheSameNumbersAndTouchNothingElse) {
  const MatrixUnit before = matrix_unit();
  for (MatrixUnit unit : {MatrixUnit::Avx512, MatrixUnit::Amx}) {
    set_matrix_unit(unit);
    if (matrix_unit() != unit) continue;
    for (int64_t n : {1, 40, 155}) {
      const MlpConfig config = network(20, 36, 32, 1, Activation::Relu);
      const at::Tensor x = uniform_tensor({n, 20}, 1), dy = uniform_tensor({n, 36}, 2);
      const at::Tensor params = mlp_init_xavier(config, 3);
      const float* p = params.data_ptr<float>();
      std::vector<at::Tensor> ys, dxs, dparams;
      for (int layout = 0; layout < 5; ++layout) {
        const Placed in = place(x, layout), out = place(at::zeros({n, 36}), layout),
                     d_out = place(dy, layout), d_in = place(at::zeros({n, 20}), layout);
        dparams.push_back(at::ones_like(params));
        cpu::mlp_forward(config, p, in.rows, n, out.rows, nullptr);
        cpu::mlp_backward(config, p, in.rows, n, out.rows, nullptr, d_out.rows, d_in.rows,
                          dparams.back().data_ptr<float>());
        EXPECT_EQ(n_untouched(out), out.buffer.numel() - n * 36) << layout;
        EXPECT_EQ(n_untouched(d_in), d_in.buffer.numel() - n * 20) << layout;
        ys.push_back(taken(out, n, 36));
        dxs.push_back(taken(d_in, n, 20));
        EXPECT_TRUE(ys.back().equal(ys[0])) << layout;
        EXPECT_TRUE(dxs.back().equal(dxs[0])) << layout;
        EXPECT_TRUE(dparams.back().equal(dparams[0])) << layout;
      }
    }
  }
  set_matrix_unit(before);
}

TEST_P(Bfloat16Mlp, ResultsDoNotDependOnTheNumberOfThreads) {
  const MlpConfig config = network(32, 4, 64, 2, Activation::Sigmoid);
  const at::Tensor x = uniform_tensor({9000, 32}, 1), dy = uniform_tensor({9000, 4}, 2);
  const at::Tensor params = mlp_init_uniform(config, 2);
  const int threads = omp_get_max_threads();
  std::vector<Result> results;
  for (int t : {1, 3}) {
    omp_set_num_threads(t);
    results.push_back(by_kernels(config, x, params, dy));
  }
  omp_set_num_threads(threads);
  EXPECT_TRUE(results[0].y.equal(results[1].y));
  EXPECT_TRUE(results[0].dx.equal(results[1].dx));
  EXPECT_TRUE(results[0].dparams.equal(results[1].dparams));
}

TEST_P(Bfloat16Mlp, EitherGradientCanBeLeftOut) {
  const MlpConfig config = network(20, 4, 32, 2);
  const int64_t n = 200;
  const at::Tensor x = uniform_tensor({n, 20}, 1), dy = uniform_tensor({n, 4}, 2);
  const at::Tensor params = mlp_init_xavier(config, 3);
  at::Tensor dx = at::zeros_like(x), dx2 = dx.clone(), dp = at::zeros_like(params), dp2 = dp.clone();
  const auto run = [&](float* to_x, float* to_params) {
    cpu::mlp_backward(config, params.data_ptr<float>(), rows<const float>(x.data_ptr<float>(), 20), n, {},
                      nullptr, rows<const float>(dy.data_ptr<float>(), 4), rows(to_x, 20), to_params);
  };
  run(dx.data_ptr<float>(), dp.data_ptr<float>());
  run(dx2.data_ptr<float>(), nullptr);
  run(nullptr, dp2.data_ptr<float>());
  EXPECT_TRUE(dx.equal(dx2));
  EXPECT_TRUE(dp.equal(dp2));
}

INSTANTIATE_TEST_SUITE_P(All, Bfloat16Mlp, ::testing::Values(MatrixUnit::Avx512, MatrixUnit::Amx),
                         [](const auto& info) { return matrix_unit_name(info.param); });

TEST(Bfloat16MlpFallback, IsFloat32WithoutAMatrixUnit) {
  MlpConfig config = network(32, 4, 64, 1);
  const at::Tensor x = uniform_tensor({100, 32}, 1), dy = uniform_tensor({100, 4}, 2);
  const at::Tensor params = mlp_init_xavier(config, 3);
  const MatrixUnit unit_before = matrix_unit();
  const Simd simd_before = simd();
  for (Simd isa : {Simd::Portable, Simd::Avx2, Simd::Avx512}) {
    set_simd(isa);
    set_matrix_unit(MatrixUnit::None);
    config.precision = Precision::Bfloat16;
    const Result a = by_kernels(config, x, params, dy);
    config.precision = Precision::Float32;
    const Result b = by_kernels(config, x, params, dy);
    EXPECT_TRUE(a.y.equal(b.y));
    EXPECT_TRUE(a.dx.equal(b.dx));
    EXPECT_TRUE(a.dparams.equal(b.dparams));
  }
  EXPECT_FALSE(has_fast_matrix_unit());
  set_simd(simd_before);
  set_matrix_unit(unit_before);
}

TEST(Bfloat16MlpFallback, SecondGradientsStayInFloat32) {
  MlpConfig config = network(6, 3, 32, 2);
  std::vector<at::Tensor> first, second;
  for (Precision precision : {Precision::Float32, Precision::Bfloat16}) {
    config.precision = precision;
    const at::Tensor x = uniform_tensor({40, 6}, 1).set_requires_grad(true);
    const at::Tensor p = mlp_init_xavier(config, 2).set_requires_grad(true);
    // The outer gradient is 1 whatever the forward pass rounded.
    first.push_back(torch::autograd::grad({mlp(x, p, config).sum()}, {x}, {}, c10::nullopt, true)[0]);
    second.push_back(torch::autograd::grad({first.back().square().sum()}, {p})[0]);
  }
  EXPECT_TRUE(first[0].equal(first[1]));
  EXPECT_TRUE(second[0].equal(second[1]));
}

TEST(Mlp, SigmoidOfVeryNegativeNumbersIsZeroInBothPrecisions) {
  for (const Precision precision : {Precision::Float32, Precision::Bfloat16}) {
    if (precision == Precision::Bfloat16 && !cpu::mlp_bf16_available()) continue;
    MlpConfig config = network(32, 3, 32, 1, Activation::Sigmoid);
    config.precision = precision;
    at::Tensor params = at::ones({mlp_n_params(config)}, at::kFloat);
    for (int64_t i = mlp_layers(config)[1].first; i < params.numel(); ++i) params.data_ptr<float>()[i] = -1.f;
    for (const float x : {0.05f, 0.1f, 1.f, 1000.f}) {  // outputs -51, -102, -1024, -1024000
      const at::Tensor in = at::full({70, 32}, x), out = at::empty({70, 3});
      cpu::mlp_forward(config, params.data_ptr<float>(), rows<const float>(in.data_ptr<float>(), 32), 70,
                       rows(out.data_ptr<float>(), 3), nullptr);
      for (int64_t i = 0; i < out.numel(); ++i) {
        uint32_t bits;  // this file is built so that NaN cannot be asked for
        std::memcpy(&bits, out.data_ptr<float>() + i, sizeof bits);
        ASSERT_LT(bits & 0x7fffffffu, 0x3f800000u) << "x " << x << ", output " << out.data_ptr<float>()[i];
      }
    }
  }
}

}  // namespace
}  // namespace t3d::ops
