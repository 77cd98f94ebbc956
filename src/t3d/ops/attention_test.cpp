#include "t3d/ops/attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "t3d/ops/matrix_unit.h"
#include "t3d/ops/simd.h"
#include "tests/support/every_simd.h"

namespace t3d::ops {
namespace {

/// By the formula, in double.
at::Tensor reference(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal) {
  auto scores = at::matmul(q.to(at::kDouble), k.to(at::kDouble).transpose(2, 3)) /
                std::sqrt(static_cast<double>(q.size(3)));
  if (causal)
    scores.masked_fill_(at::ones({q.size(2), q.size(2)}, at::kBool).triu_(1),
                        -std::numeric_limits<double>::infinity());
  return at::matmul(at::softmax(scores, -1), v.to(at::kDouble));
}

double error(const at::Tensor& found, const at::Tensor& truth) {
  return ((found.to(at::kDouble) - truth).norm() / truth.norm()).item<double>();
}

struct Sizes {
  int64_t items, heads, rows, columns, width, value_width;
};

/// Runs the test with every unit that this CPU has; skips on one that has none.
class Bf16Attention : public ::testing::TestWithParam<MatrixUnit> {
 protected:
  void SetUp() override {
    set_matrix_unit(GetParam());
    if (matrix_unit() != GetParam()) GTEST_SKIP() << "this CPU has no " << matrix_unit_name(GetParam());
  }
  void TearDown() override { set_matrix_unit(MatrixUnit::Amx); }
};

TEST_P(Bf16Attention, FollowsTheFormulaAtOddSizes) {
  at::manual_seed(1);
  for (const Sizes& s : {Sizes{1, 1, 32, 32, 32, 32},
                         {2, 3, 77, 77, 64, 64},
                         {1, 2, 5, 1, 8, 3},
                         {2, 2, 33, 1300, 40, 40},
                         {1, 1, 64, 513, 160, 97},
                         {1, 5, 100, 544, 7, 64}}) {
    const auto q = at::randn({s.items, s.heads, s.rows, s.width}).to(at::kBFloat16);
    const auto k = at::randn({s.items, s.heads, s.columns, s.width}).to(at::kBFloat16);
    const auto v = at::randn({s.items, s.heads, s.columns, s.value_width}).to(at::kBFloat16);
    const auto out = bf16_attention(q, k, v, false);
    EXPECT_EQ(out.sizes(), (at::IntArrayRef{s.items, s.heads, s.rows, s.value_width}));
    EXPECT_LT(error(out, reference(q, k, v, false)), 4e-3)
        << s.rows << " x " << s.columns << " x " << s.width;
  }
}

TEST_P(Bf16Attention, CausalRowsSeeOnlyWhatCameBefore) {
  at::manual_seed(2);
  for (const int64_t n : {1, 31, 77, 700}) {
    const auto q = at::randn({2, 2, n, 32}).to(at::kBFloat16), k = at::randn_like(q), v = at::randn_like(q);
    EXPECT_LT(error(bf16_attention(q, k, v, true), reference(q, k, v, true)), 4e-3) << n;
  }
}

TEST_P(Bf16Attention, ScoresKeepSinglePrecisionWhereTheyAreLarge) {
  at::manual_seed(3);
  const auto q = (at::randn({1, 1, 40, 64}) * 30).to(at::kBFloat16);
  const auto k = (at::randn({1, 1, 600, 64}) * 30).to(at::kBFloat16), v = at::randn_like(k);
  const auto out = bf16_attention(q, k, v, false);
  EXPECT_TRUE(at::isfinite(out).all().item<bool>());
  EXPECT_LT(error(out, reference(q, k, v, false)), 4e-3);
}

TEST_P(Bf16Attention, HeadsOfAnInterleavedTensorAreReadInPlace) {
  at::manual_seed(4);
  const auto heads = [](int64_t n) {
    return at::randn({2, n, 3, 32}).to(at::kBFloat16).transpose(1, 2);  // as a projection leaves them
  };
  const auto q = heads(50), k = heads(70), v = heads(70);
  const auto out = bf16_attention(q, k, v, false);
  EXPECT_TRUE(out.transpose(1, 2).is_contiguous());
  EXPECT_TRUE(out.equal(bf16_attention(q.contiguous(), k.contiguous(), v.contiguous(), false)));
}

class FloatAttention : public testing::EverySimd {};

/// Rows of one tensor that lie apart, as heads do.
at::Tensor heads(const Sizes& s, int64_t rows, int64_t width) {
  return at::randn({s.items, rows, s.heads, width}).transpose(1, 2);
}

TEST_P(FloatAttention, AndItsGradientsFollowTheFormulaAtOddSizes) {
  at::manual_seed(4);
  for (const Sizes& s : {Sizes{1, 1, 32, 32, 32, 32},
                         {2, 3, 77, 77, 64, 64},
                         {1, 2, 5, 1, 8, 3},
                         {2, 2, 33, 1300, 40, 40},
                         {1, 1, 300, 513, 160, 97},
                         {1, 5, 100, 544, 7, 64},
                         {4, 1, 400, 400, 96, 96},
                         {1, 1, 1, 1, 1, 1}})
    for (const bool causal : {false, true}) {
      if (causal && s.rows != s.columns) continue;
      const auto label = ::testing::Message()
                         << s.rows << " x " << s.columns << " x " << s.width << " causal " << causal;
      std::vector<at::Tensor> in{heads(s, s.rows, s.width), heads(s, s.columns, s.width),
                                 heads(s, s.columns, s.value_width)};
      std::vector<at::Tensor> wide;
      for (at::Tensor& t : in) {
        wide.push_back(t.to(at::kDouble).requires_grad_());
        t.requires_grad_();
      }
      const auto truth = reference(wide[0], wide[1], wide[2], causal);
      const auto found = float_attention(in[0], in[1], in[2], causal);
      EXPECT_EQ(found.sizes(), truth.sizes()) << label;
      EXPECT_LT(error(found.detach(), truth.detach()), 1e-6) << label;
      const auto d_out = at::randn(truth.sizes());
      const auto of = torch::autograd::grad({found}, in, {d_out});
      const auto expected = torch::autograd::grad({truth}, wide, {d_out.to(at::kDouble)});
      // With one column its weight is 1 whatever q and k are.
      for (size_t i = s.columns == 1 ? 2 : 0; i < in.size(); ++i)
        EXPECT_LT(error(of[i], expected[i]), 3e-6) << label << ", " << i;
    }
}

TEST_P(FloatAttention, LargeScoresStayFinite) {
  const auto q = at::full({1, 1, 3, 4}, 300.f), k = at::randn({1, 1, 70, 4}) * 100, v = at::randn({1, 1, 70, 5});
  EXPECT_LT(error(float_attention(q, k, v, false), reference(q, k, v, false)), 1e-5);
}

TEST_P(FloatAttention, AnyNumberOfThreadsGivesTheSameBits) {
  const auto q = at::randn({1, 2, 300, 32}).requires_grad_(), k = at::randn({1, 2, 300, 32}).requires_grad_(),
             v = at::randn({1, 2, 300, 32}).requires_grad_(), d_out = at::randn({1, 2, 300, 32});
  const int before = at::get_num_threads();
  const auto run = [&](int threads) {
    at::set_num_threads(threads);
    const auto out = float_attention(q, k, v, false);
    auto all = torch::autograd::grad({out}, {q, k, v}, {d_out});
    all.push_back(out.detach());
    return all;
  };
  const auto one = run(1), three = run(3);
  at::set_num_threads(before);
  for (size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(one[i].equal(three[i])) << i;
}

INSTANTIATE_TEST_SUITE_P(InstructionSets, FloatAttention,
                         ::testing::Values(Simd::Portable, Simd::Avx2, Simd::Avx512),
                         [](const auto& set) { return std::string(simd_name(set.param)); });

INSTANTIATE_TEST_SUITE_P(Units, Bf16Attention, ::testing::Values(MatrixUnit::Avx512, MatrixUnit::Amx),
                         [](const auto& unit) { return std::string(matrix_unit_name(unit.param)); });

TEST(Bf16AttentionChoice, IsRefusedWithoutAUnit) {
  const auto x = at::zeros({1, 1, 4, 8}, at::kBFloat16);
  set_matrix_unit(MatrixUnit::None);
  EXPECT_FALSE(bf16_attention_runs(x, x, x));
  set_matrix_unit(MatrixUnit::Amx);
  EXPECT_FALSE(bf16_attention_runs(x.to(at::kFloat), x.to(at::kFloat), x.to(at::kFloat)));
}

}  // namespace
}  // namespace t3d::ops
