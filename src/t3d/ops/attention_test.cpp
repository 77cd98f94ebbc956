#include "t3d/ops/attention.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "t3d/ops/matrix_unit.h"

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
