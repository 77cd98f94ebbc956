#include "t3d/ops/recorded_loss.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

namespace t3d::ops {
namespace {

std::vector<c10::Device> devices() {
  std::vector<c10::Device> all = {c10::kCPU};
  if (at::hasCUDA()) all.push_back(c10::kCUDA);
  return all;
}

/// mean (a tanh(x b) - y)^2, with y that may be left out.
struct Regression {
  explicit Regression(c10::Device device) {
    at::manual_seed(3);
    a = at::randn({3}).to(device).requires_grad_();
    b = at::randn({4, 3}).to(device).requires_grad_();
  }
  at::Tensor operator()(const std::vector<at::Tensor>& in) const {
    const auto made = a * at::tanh(in[0].mm(b));
    return (in[1].defined() ? made - in[1] : made).square().mean();
  }
  at::Tensor a, b;
};

TEST(RecordedLoss, EqualsTheFunctionAndItsGradientAtEveryCall) {
  for (const c10::Device device : devices()) {
    Regression f(device);
    RecordedLoss recorded(f, {f.a, f.b}, device, /*gradient_scale=*/64);
    for (int i = 0; i < 6; ++i) {  // recorded at the fourth call, replayed after
      const auto x = at::randn({5, 4}).to(device);
      const auto y = i % 2 == 0 ? at::randn({5, 3}).to(device) : at::Tensor();
      auto expected = f({x, y});
      (expected * 2.5).backward();
      const auto a = f.a.grad().clone(), b = f.b.grad().clone();
      f.a.mutable_grad() = f.b.mutable_grad() = at::Tensor();
      const auto loss = recorded({x, y});
      EXPECT_NEAR(loss.item<float>(), expected.item<float>(), 1e-6);
      EXPECT_FALSE(f.a.grad().defined());
      (loss * 2.5).backward();
      EXPECT_LT((f.a.grad() - a).abs().max().item<float>(), 1e-5);
      EXPECT_LT((f.b.grad() - b).abs().max().item<float>(), 1e-5);
      const c10::NoGradGuard no_grad;
      f.a.sub_(0.1 * f.a.grad());  // parameters move in place; the recording sees it
      f.b.sub_(0.1 * f.b.grad());
      f.a.mutable_grad() = f.b.mutable_grad() = at::Tensor();
    }
  }
}

TEST(RecordedLoss, EarlierResultsKeepTheirGradients) {
  Regression f(c10::kCPU);
  RecordedLoss recorded(f, {f.a, f.b}, c10::kCPU);
  const auto x = at::randn({5, 4}), other = at::randn({5, 4});
  const auto sum = recorded({x, {}}) + recorded({other, {}});
  sum.backward();
  const auto got = f.b.grad().clone();
  f.a.mutable_grad() = f.b.mutable_grad() = at::Tensor();
  (f({x, {}}) + f({other, {}})).backward();
  EXPECT_LT((f.b.grad() - got).abs().max().item<float>(), 1e-6);
}

TEST(RecordedLoss, InputsGetNoGradient) {
  Regression f(c10::kCPU);
  RecordedLoss recorded(f, {f.a, f.b}, c10::kCPU);
  const auto x = at::randn({5, 4}).requires_grad_();
  recorded({x, {}}).backward();
  EXPECT_FALSE(x.grad().defined());
}

}  // namespace
}  // namespace t3d::ops
