#include "t3d/ops/group_norm.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "t3d/ops/matrix_unit.h"

namespace t3d::ops {
namespace {

struct Case {
  int64_t n, channels, height, width, groups;
  bool with_silu;
};

std::vector<Case> cases() {
  return {{2, 32, 5, 3, 4, false},   {3, 64, 8, 8, 32, true},    {1, 160, 16, 16, 32, true},
          {2, 448, 4, 4, 32, true},  {130, 224, 2, 2, 32, true}, {2, 2560, 3, 5, 32, false},
          {2, 320, 32, 32, 32, true}};
}

double relative_error(const at::Tensor& a, const at::Tensor& b) {
  return ((a.to(at::kDouble) - b).norm() / b.norm()).item<double>();
}

/// y, dx, dweight and dbias of sum(y * direction).
std::vector<at::Tensor> results(const Case& c, bool by_definition, const std::vector<at::Tensor>& in,
                                const at::Tensor& direction) {
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& t : in) leaves.push_back(t.detach().requires_grad_());
  const auto f = by_definition ? group_norm_reference : group_norm;
  const auto y = f(leaves[0], leaves[1], leaves[2], c.groups, 1e-5, c.with_silu);
  auto out = torch::autograd::grad({(y * direction).sum()}, leaves);
  out.insert(out.begin(), y.detach());
  return out;
}

/// Far from zero in places, as activations are.
std::vector<at::Tensor> inputs(const Case& c) {
  at::manual_seed(7);
  const auto x = at::randn({c.n, c.channels, c.height, c.width}, at::kDouble) +
                 5 * at::randn({c.n, c.channels, 1, 1}, at::kDouble);
  return {x, 1 + at::randn({c.channels}, at::kDouble), at::randn({c.channels}, at::kDouble),
          at::randn({c.n, c.channels, c.height, c.width}, at::kDouble)};
}

TEST(GroupNorm, FollowsTheDefinitionWithItsGradients) {
  for (const Case& c : cases()) {
    const auto in = inputs(c);
    const auto truth = results(c, true, {in[0], in[1], in[2]}, in[3]);
    const auto made = results(c, false, {in[0], in[1], in[2]}, in[3]);
    for (size_t i = 0; i < truth.size(); ++i) EXPECT_LT(relative_error(made[i], truth[i]), 1e-12);
  }
}

TEST(GroupNorm, BFloat16OnTheCpuFollowsTheDefinitionWithItsGradients) {
  if (matrix_unit() == MatrixUnit::None) GTEST_SKIP() << "this CPU has no unit for bfloat16";
  auto all = cases();
  all.push_back({2, 20, 7, 3, 4, true});
  for (const Case& c : all) {
    auto in = inputs(c);
    std::vector<at::Tensor> low;
    for (at::Tensor& t : in) {
      low.push_back(t.to(at::kBFloat16));
      t = low.back().to(at::kDouble);  // both compute from the same rounded numbers
      if (t.dim() == 4) low.back() = low.back().contiguous(at::MemoryFormat::ChannelsLast);
    }
    const auto truth = results(c, true, {in[0], in[1], in[2]}, in[3]);
    const auto made = results(c, false, {low[0], low[1], low[2]}, low[3]);
    EXPECT_TRUE(made[0].is_contiguous(at::MemoryFormat::ChannelsLast));
    for (size_t i = 0; i < truth.size(); ++i)
      EXPECT_LT(relative_error(made[i], truth[i]), 1e-2)
          << "result " << i << " of " << c.channels << " channels";
    // From single precision, with a gradient in single precision.
    const auto x = low[0].to(at::kFloat).detach().set_requires_grad(true);
    const auto y = bf16_group_norm(x, low[1], low[2], c.groups, 1e-5, c.with_silu);
    EXPECT_EQ(y.scalar_type(), at::kBFloat16);
    EXPECT_LT(relative_error(y, truth[0]), 1e-2);
    y.backward(low[3]);
    EXPECT_LT(relative_error(x.grad(), truth[1]), 1e-2);
    // The gradient with respect to the result in single precision too: nothing is rounded.
    const auto groups = in[0].reshape({c.n, c.groups, -1});
    const auto statistics = at::stack({groups.mean(2), (groups.var(2, false) + 1e-5).rsqrt()}, 2);
    const auto g = bf16_group_norm_gradient(x.detach(), low[1], low[2], statistics.to(at::kFloat),
                                            in[3].to(at::kFloat), c.with_silu);
    EXPECT_LT(relative_error(g.x, truth[1]), 2e-4) << c.channels << " channels";
    EXPECT_LT(relative_error(g.weight, truth[2]), 1e-2);
    EXPECT_LT(relative_error(g.bias, truth[3]), 1e-2);
  }
}

TEST(GroupNorm, CudaKernelsFollowTheDefinitionWithTheirGradients) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no CUDA device";
  const std::pair<at::ScalarType, double> types[] = {
      {at::kFloat, 1e-5}, {at::kHalf, 3e-3}, {at::kBFloat16, 2e-2}};
  for (const auto& [type, tolerance] : types)
    for (const Case& c : cases()) {
      auto in = inputs(c);
      std::vector<at::Tensor> there;
      for (at::Tensor& t : in) {
        t = t.to(type).to(at::kDouble);  // both compute from the same rounded numbers
        auto moved = t.to(at::kCUDA).to(type);
        if (moved.dim() == 4) moved = moved.contiguous(at::MemoryFormat::ChannelsLast);
        there.push_back(moved);
      }
      const auto truth = results(c, true, {in[0], in[1], in[2]}, in[3]);
      const auto made = results(c, false, {there[0], there[1], there[2]}, there[3]);
      EXPECT_TRUE(made[0].is_contiguous(at::MemoryFormat::ChannelsLast));
      for (size_t i = 0; i < truth.size(); ++i)
        EXPECT_LT(relative_error(made[i].cpu(), truth[i]), tolerance)
            << "result " << i << " of " << c.channels << " channels, " << toString(type);
    }
}

}  // namespace
}  // namespace t3d::ops
