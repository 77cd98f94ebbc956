#include "t3d/optim/make_optimizer.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "t3d/core/config/read_yaml.h"
#include "tests/support/message_of.h"

namespace t3d::optim {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

const std::vector<std::string> kParts = {"geometry", "background"};

at::Tensor leaf(std::vector<float> values) {
  return at::tensor(values).requires_grad_();
}

std::unique_ptr<Optimizer> make(const std::string& yaml, const std::map<std::string, at::Tensor>& all) {
  return make_optimizer(config::read_yaml(yaml, "test.yaml"), all, kParts);
}

void set_gradient(at::Tensor p, std::vector<float> g) {
  p.mutable_grad() = at::tensor(g);
}

TEST(Optimizer, AdamsFirstStepIsTheLearningRateAlongTheSign) {
  const auto p = leaf({1, -2});
  const auto adam = make("{name: Adam, args: {lr: 0.1, eps: 1.0e-15}}", {{"geometry.p", p}});
  set_gradient(p, {3, -0.5f});
  adam->step(1, {1});
  EXPECT_NEAR(p[0].item<float>(), 0.9f, 1e-6);
  EXPECT_NEAR(p[1].item<float>(), -1.9f, 1e-6);
}

TEST(Optimizer, AdamWShrinksByOneHundredthOfTheRateByDefault) {
  const auto p = leaf({2}), still = leaf({2});
  const auto adamw = make("{name: AdamW, args: {lr: 0.1}}", {{"geometry.p", p}, {"geometry.s", still}});
  set_gradient(p, {0});
  adamw->step(1, {1});
  EXPECT_NEAR(p[0].item<float>(), 2 * (1 - 0.1 * 0.01), 1e-6);
  EXPECT_EQ(still[0].item<float>(), 2);  // no gradient, no step
}

TEST(Optimizer, AdamaxDividesByTheLargestGradient) {
  const auto p = leaf({0});
  const auto adamax = make("{name: Adamax, args: {lr: 0.1, betas: [0.5, 0.9], eps: 0}}", {{"geometry.p", p}});
  set_gradient(p, {4});
  adamax->step(1, {1});
  EXPECT_NEAR(p[0].item<float>(), -0.1, 1e-6);
  set_gradient(p, {1});
  adamax->step(2, {1});  // m = 0.5 * 2 + 0.5, u = 3.6
  EXPECT_NEAR(p[0].item<float>(), -0.1 - 0.1 * 1.5 / 3.6 / 0.75, 1e-6);
}

/// Adan by its formulas, one number, in double.
struct AdanByHand {
  double lr, b1 = 0.98, b2 = 0.92, b3 = 0.99, eps = 1e-8, decay = 0;
  double m = 0, d = 0, n = 0, before = 0;
  int k = 0;
  double step(double p, double g) {
    ++k;
    const double change = k == 1 ? 0 : g - before;
    m = b1 * m + (1 - b1) * g;
    d = b2 * d + (1 - b2) * change;
    n = b3 * n + (1 - b3) * (g + b2 * change) * (g + b2 * change);
    before = g;
    const double root = std::sqrt(n) / std::sqrt(1 - std::pow(b3, k)) + eps;
    p -= lr / (1 - std::pow(b1, k)) * m / root + lr * b2 / (1 - std::pow(b2, k)) * d / root;
    return p / (1 + lr * decay);
  }
};

TEST(Optimizer, AdanFollowsItsFormulas) {
  const auto p = leaf({0.7f});
  const auto adan = make("{name: Adan, args: {lr: 0.05, weight_decay: 0.1}}", {{"geometry.p", p}});
  AdanByHand truth{0.05};
  truth.decay = 0.1;
  double expected = 0.7;
  for (int k = 1; k <= 20; ++k) {
    const float g = std::sin(static_cast<float>(k)) + 0.3f;
    set_gradient(p, {g});
    adan->step(k, {1});
    expected = truth.step(expected, g);
    EXPECT_NEAR(p[0].item<float>(), expected, 1e-5) << k;
  }
}

TEST(Optimizer, AdanClipsAllGradientsTogether) {
  const auto a = leaf({0}), b = leaf({0}), alone = leaf({0});
  const auto clipped =
      make("{name: Adan, args: {lr: 1.0, max_grad_norm: 1.0}}", {{"geometry.a", a}, {"geometry.b", b}});
  set_gradient(a, {30});
  set_gradient(b, {40});
  clipped->step(1, {1});
  const auto& moments = clipped->state();
  EXPECT_NEAR(moments.at("geometry.a.m")[0].item<float>(), 0.02 * 0.6, 1e-6);
  EXPECT_NEAR(moments.at("geometry.b.m")[0].item<float>(), 0.02 * 0.8, 1e-6);
}

TEST(Optimizer, GroupsAreWhatBeginsWithTheDottedName) {
  const std::map<std::string, at::Tensor> all = {{"geometry.encoding.params", leaf({0})},
                                                 {"geometry.encoding_2.params", leaf({0})},
                                                 {"geometry.network.weight", leaf({0})}};
  const auto adam = make(
      "{name: Adam, args: {lr: 1.0}, params: {geometry.encoding: {lr: 0.5}, background: {lr: 0.1}}}", all);
  ASSERT_EQ(adam->groups().size(), 2u);
  EXPECT_EQ(adam->groups()[0].tensors.size(), 1u);
  EXPECT_EQ(adam->groups()[1].tensors.size(), 0u);
  EXPECT_EQ(adam->learning_rates(), (std::vector<double>{0.5, 0.1}));
}

TEST(Optimizer, StateComesBackByName) {
  const auto p = leaf({1});
  const auto one = make("{name: Adam, args: {lr: 0.1}}", {{"geometry.p", p}});
  set_gradient(p, {2});
  one->step(1, {1});
  const auto q = leaf({p[0].item<float>()});
  const auto two = make("{name: Adam, args: {lr: 0.1}}", {{"geometry.p", q}});
  two->restore(one->state());
  set_gradient(p, {-1});
  set_gradient(q, {-1});
  one->step(2, {1});
  two->step(2, {1});
  EXPECT_TRUE(p.equal(q));
}

TEST(Optimizer, GradientsThatWereTakenAreAddedToLaterOnes) {
  const auto both = leaf({0, 0}), early = leaf({0}), late = leaf({0});
  const auto adam = make("{name: Adam, args: {lr: 0.1}}",
                         {{"geometry.both", both}, {"geometry.early", early}, {"geometry.late", late}});
  set_gradient(both, {1, 2});
  set_gradient(early, {3});
  const auto taken = adam->take_gradients();
  for (const auto& p : {both, early, late}) EXPECT_FALSE(p.grad().defined());
  set_gradient(both, {10, 20});
  set_gradient(late, {30});
  adam->add_gradients(taken);
  EXPECT_TRUE(both.grad().equal(at::tensor({11.f, 22.f})));
  EXPECT_TRUE(early.grad().equal(at::tensor({3.f})));
  EXPECT_TRUE(late.grad().equal(at::tensor({30.f})));
}

TEST(Optimizer, WrongNamesAreSuggested) {
  const std::map<std::string, at::Tensor> all = {{"geometry.encoding.params", leaf({0})}};
  EXPECT_THAT(message_of<UserError>([&] { make("{name: Adem}", all); }), HasSubstr("did you mean Adam"));
  EXPECT_THAT(
      message_of<UserError>([&] { make("{name: Adam, params: {geometry.encodin: {lr: 0.1}}}", all); }),
      HasSubstr("did you mean geometry.encoding"));
  EXPECT_THAT(message_of<UserError>([&] { make("{name: Adam, args: {learning_rate: 0.1}}", all); }),
              HasSubstr("learning_rate"));
  EXPECT_THAT(message_of<UserError>([&] { make("{args: {lr: 0.1}}", all); }), HasSubstr("name"));
}

TEST(Optimizer, BadGradientsAreNamed) {
  const auto p = leaf({1}), q = leaf({1});
  const auto adam = make("{name: Adam}", {{"geometry.p", p}, {"geometry.q", q}});
  set_gradient(p, {3});
  set_gradient(q, {4});
  EXPECT_NEAR(adam->gradient_norm().item<double>(), 5, 1e-6);
  EXPECT_EQ(adam->first_bad_gradient(), "");
  set_gradient(q, {std::nanf("")});
  EXPECT_FALSE(std::isfinite(adam->gradient_norm().item<double>()));
  EXPECT_EQ(adam->first_bad_gradient(), "geometry.q");
}

}  // namespace
}  // namespace t3d::optim
