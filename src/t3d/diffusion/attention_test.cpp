#include "t3d/diffusion/attention.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/types.h>

#include <cmath>

namespace t3d::diffusion {
namespace {

at::Tensor plain(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, bool causal = false) {
  auto scores = at::matmul(q, k.transpose(2, 3)) / std::sqrt(static_cast<double>(q.size(3)));
  if (causal) scores = scores.masked_fill(at::ones({q.size(2), k.size(2)}, at::kBool).triu(1), -INFINITY);
  return at::matmul(at::softmax(scores, -1), v);
}

double difference(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).abs().max() / b.abs().max()).item<double>();
}

TEST(Attention, ForwardAndGradientsAreThoseOfTheStoredMatrix) {
  at::manual_seed(1);
  // One block, several items a block, several row blocks an item; more columns than rows.
  for (const auto& [n, m] : {std::pair<int64_t, int64_t>{5, 7}, {77, 77}, {900, 1300}, {3, 1}}) {
    std::vector<at::Tensor> in, again;
    for (const int64_t tokens : {n, m, m}) {
      in.push_back(at::randn({2, 3, tokens, 8}, at::kDouble).set_requires_grad(true));
      again.push_back(in.back().detach().clone().set_requires_grad(true));
    }
    const auto r = at::randn({2, 3, n, 8}, at::kDouble);
    const auto ours = attention(in[0], in[1], in[2]);
    const auto theirs = plain(again[0], again[1], again[2]);
    EXPECT_LT(difference(ours, theirs), 1e-12);
    const auto g = torch::autograd::grad({ours}, in, {r}), h = torch::autograd::grad({theirs}, again, {r});
    for (size_t i = 0; i < 3; ++i) {
      if (m == 1 && i < 2)
        EXPECT_LT(g[i].abs().max().item<double>(), 1e-12);  // one column: the weights are 1 whatever q, k
      else
        EXPECT_LT(difference(g[i], h[i]), 1e-11) << n << " x " << m << ", input " << i;
    }
  }
}

TEST(Attention, CausalRowsSeeOnlyWhatCameBefore) {
  at::manual_seed(2);
  const auto q = at::randn({1, 2, 900, 4}, at::kDouble), k = at::randn_like(q), v = at::randn_like(q);
  EXPECT_LT(difference(attention(q, k, v, true), plain(q, k, v, true)), 1e-12);
}

TEST(Attention, LowPrecisionKeepsScoresInSingle) {
  at::manual_seed(3);
  const auto q = at::randn({1, 1, 20, 16}) * 30, k = at::randn({1, 1, 20, 16}) * 300, v = at::randn_like(k);
  const auto low = attention(q.to(at::kHalf), k.to(at::kHalf), v.to(at::kHalf));
  EXPECT_EQ(low.scalar_type(), at::kHalf);
  const auto high = attention(q.to(at::kHalf).to(at::kFloat), k.to(at::kHalf).to(at::kFloat),
                              v.to(at::kHalf).to(at::kFloat));
  EXPECT_LT(difference(low.to(at::kFloat), high), 1e-3);
}

TEST(Attention, BFloat16HasTheGradientsOfSinglePrecision) {
  at::manual_seed(4);
  std::vector<at::Tensor> low, high;
  for (const int64_t tokens : {45, 70, 70}) {
    low.push_back(at::randn({2, 3, tokens, 32}).to(at::kBFloat16).set_requires_grad(true));
    high.push_back(low.back().detach().to(at::kFloat).set_requires_grad(true));
  }
  const auto r = at::randn({2, 3, 45, 32}).to(at::kBFloat16);
  const auto out = attention(low[0], low[1], low[2]), truth = attention(high[0], high[1], high[2]);
  EXPECT_EQ(out.scalar_type(), at::kBFloat16);
  EXPECT_LT(difference(out.to(at::kFloat), truth), 1e-2);
  const auto g = torch::autograd::grad({out}, low, {r});
  const auto h = torch::autograd::grad({truth}, high, {r.to(at::kFloat)});
  for (size_t i = 0; i < 3; ++i) EXPECT_LT(difference(g[i].to(at::kFloat), h[i]), 1e-2) << "input " << i;
}

TEST(Attention, MemoryGrowsWithTokensNotTheirSquare) {
  const int64_t n = 12000;  // stored, the scores alone were 576 MB, twice that with the softmax
  const auto q = at::randn({1, 1, n, 16}).set_requires_grad(true);
  rusage before{}, after{};
  getrusage(RUSAGE_SELF, &before);
  const auto out = attention(q, q, q);
  torch::autograd::grad({out}, {q}, {at::ones_like(out)});
  getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 64 * 1024) << "KiB";
}

TEST(Attention, HeadsSplitAndJoin) {
  const auto x = at::randn({2, 5, 12});
  EXPECT_TRUE(join_heads(split_heads(x, 3)).equal(x));
  EXPECT_EQ(split_heads(x, 3).sizes(), (at::IntArrayRef{2, 3, 5, 4}));
}

}  // namespace
}  // namespace t3d::diffusion
