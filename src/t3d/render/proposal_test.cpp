#include "t3d/render/proposal.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "t3d/core/config/read_yaml.h"
#include "t3d/core/error.h"
#include "t3d/ops/adam.h"
#include "t3d/render/renderer.h"
#include "tests/support/request_along.h"

namespace t3d::render {
namespace {

config::Node parse(const std::string& text) {
  return config::read_yaml(text, "test.yaml");
}

const char* const kNetwork =
    "{encoding_config: {otype: HashGrid, n_levels: 4, log2_hashmap_size: 10, base_resolution: 4},"
    " network_config: {otype: VanillaMLP, n_neurons: 16, n_hidden_layers: 1}}";

std::unique_ptr<Proposal> proposal(int n_first = 16) {
  SamplerConfig sampler;
  sampler.near_plane = 1, sampler.far_plane = 5, sampler.num_samples_per_ray = 12;
  return std::make_unique<Proposal>(config::read_struct<Proposal::Config>(parse(kNetwork), "test"), sampler,
                                    n_first, field::BuildContext{3});
}

TEST(Proposal, LossIsWhatTheProposalLeftNoRoomFor) {
  // Two intervals of the proposal with weights 0.25 and 0.5; three of the scene, the middle one across both.
  const auto first = at::tensor({0.f, 1.f, 2.f}).reshape({1, 3}),
             first_cdf = at::tensor({0.f, 0.25f, 0.75f}).reshape({1, 3});
  const auto edges = at::tensor({0.f, 0.5f, 1.5f, 2.f}).reshape({1, 4});
  const auto loss = [&](float a, float b, float c) {
    return proposal_loss(edges, at::tensor({0.f, a, a + b, a + b + c}).reshape({1, 4}), first, first_cdf)
        .item<float>();
  };
  EXPECT_NEAR(loss(0.2f, 0.7f, 0.1f), 0, 1e-6);  // all within bounds 0.25, 0.75, 0.5
  EXPECT_NEAR(loss(0.35f, 0.f, 0.65f), (0.1f * 0.1f / 0.35f + 0.15f * 0.15f / 0.65f) / 3, 1e-5);
}

TEST(Proposal, LossHasItsSlopeAsGradient) {
  const auto d = at::TensorOptions().dtype(at::kDouble);
  const auto edges = at::rand({3, 9}, d).cumsum(1), first = at::rand({3, 6}, d).cumsum(1) * 1.4;
  const auto cdf = at::rand({3, 9}, d).cumsum(1) / 9;
  auto first_cdf = (at::rand({3, 6}, d).cumsum(1) / 20).requires_grad_(true);
  proposal_loss(edges, cdf, first, first_cdf).backward();
  const c10::AutoGradMode off(false);
  EXPECT_GT(first_cdf.grad().abs().sum().item<double>(), 0);
  const auto flat = first_cdf.detach().view({-1});
  for (int64_t i = 0; i < flat.numel(); ++i) {
    constexpr double kStep = 1e-6;
    flat[i] += kStep;
    const double above = proposal_loss(edges, cdf, first, first_cdf).item<double>();
    flat[i] -= 2 * kStep;
    const double below = proposal_loss(edges, cdf, first, first_cdf).item<double>();
    flat[i] += kStep;
    EXPECT_NEAR(first_cdf.grad().view({-1})[i].item<double>(), (above - below) / (2 * kStep), 1e-5);
  }
}

TEST(Proposal, LearnsAtEveryStepAtFirstAndAtEverySixthLater) {
  const auto p = proposal();
  const auto steps = [&](int64_t begin, int64_t end) {
    std::vector<int64_t> all;
    for (int64_t step = begin; step < end; ++step) {
      p->update_step(step);
      if (p->learns()) all.push_back(step - begin);
    }
    return all;
  };
  EXPECT_THAT(steps(0, 6), ::testing::ElementsAre(1, 2, 3, 4, 5));
  EXPECT_EQ(steps(6, 1200).size(), 483u);  // of 200 steps each: all, 1/2, 1/3, 1/4, 1/5, 1/6
  const auto late = steps(1200, 1300);
  EXPECT_EQ(late.size(), 17u);
  EXPECT_EQ(late[1] - late[0], 6);
  // After a restart, in one leap.
  const auto again = proposal();
  again->update_step(1200 + late[3]);
  EXPECT_TRUE(again->learns());
  again->update_step(1200 + late[3] + 1);
  EXPECT_FALSE(again->learns());
}

TEST(Proposal, SamplesLieBetweenThePlanesAndFewOutsideOfWhatItKnows) {
  const auto p = proposal();
  const auto o = at::tensor({3.f, 0.f, 0.f}).expand({4, 3}).contiguous();
  const auto d = at::tensor({-1.f, 0.f, 0.f}).expand({4, 3}).contiguous();
  Rng rng(1);
  const auto s = p->sample(o, d, /*learns=*/true, /*is_random=*/true, rng);
  EXPECT_EQ(s.at.n_samples(), 4 * 12);
  EXPECT_TRUE(s.first_cdf.requires_grad());
  EXPECT_FALSE(s.edges.requires_grad());
  EXPECT_GE(s.edges.min().item<float>(), 1);
  EXPECT_LE(s.edges.max().item<float>(), 5);
  // exp(-1) in the box from 2 to 4, nothing outside: half of the light is taken in it.
  const auto inside = (s.at.t > 2).logical_and(s.at.t < 4).to(at::kFloat).mean().item<float>();
  EXPECT_GT(inside, 0.4f);
  EXPECT_EQ(p->density(at::tensor({1.5f, 0.f, 0.f}).reshape({1, 3})).item<float>(), 0);
}

/// A dense ball that the scene knows and the proposal does not.
TEST(Proposal, FindsTheSceneByItsOwnLoss) {
  const field::BuildContext context{7};
  auto geometry = field::geometries().make(
      "volume-grid", parse("{grid_size: [12, 12, 12], density_blob_scale: 60.0, density_blob_std: 0.3}"),
      "test", context);
  auto material = shading::materials().make("no-material", parse("{}"), "test", context);
  auto background = shading::backgrounds().make("solid-color-background", parse("{}"), "test", context);
  const Scene scene{geometry.get(), material.get(), background.get()};
  const auto renderer = renderers().make(
      "nerf-volume-renderer",
      parse(cat("{estimator: proposal, near_plane: 1, far_plane: 5, num_samples_per_ray: 24, "
                "num_samples_per_ray_proposal: 32, proposal_network_config: ",
                kNetwork, ", prop_optimizer_config: {name: Adam, args: {lr: 0.01}}}")),
      "system.renderer", scene, context);
  auto towards = at::full({1, 6, 6, 3}, -3.f);
  towards.select(3, 1).copy_(at::linspace(-1, 1, 6).view({1, 1, 6}));
  towards.select(3, 2).copy_(at::linspace(-1, 1, 6).view({1, 6, 1}));
  const auto request = testing::request_along(at::tensor({3.f, 0.f, 0.f}).expand({1, 6, 6, 3}).contiguous(),
                                              field::unit_rows(towards));

  const auto own = renderer->own_learning();
  ASSERT_TRUE(own.has_value());
  std::map<std::string, std::pair<at::Tensor, at::Tensor>> moments;
  double first = 0, last = 0;
  int n_learned = 0;
  for (int step = 0; step < 120; ++step) {
    renderer->update_step(step);
    Rng rng(5, static_cast<uint64_t>(step));
    const auto out = (*renderer)(request, true, rng);
    const auto loss = renderer->take_own_loss();
    EXPECT_FALSE(renderer->take_own_loss().defined());
    if (!loss.defined()) continue;
    loss.backward();
    ++n_learned;
    EXPECT_FALSE(geometry->parameters().at("grid").grad().defined());  // the scene learns nothing of it
    if (n_learned == 1) first = loss.item<double>();
    last = loss.item<double>();
    const c10::AutoGradMode off(false);
    for (const auto& [name, p] : own->parameters) {
      auto& [m, v] = moments[name];
      if (!m.defined()) m = at::zeros_like(p), v = at::zeros_like(p);
      ops::adam_step(p.detach(), p.grad().contiguous(), m, v, {}, 0.01, n_learned);
      at::Tensor(p).mutable_grad() = at::Tensor();
    }
  }
  EXPECT_GT(n_learned, 100);
  EXPECT_LT(last, 0.2 * first);
  // Outside of training nothing is kept, and the picture is that of many even samples.
  Rng rng(1);
  renderer->update_step(121);
  const auto out = (*renderer)(request, false, rng);
  EXPECT_FALSE(renderer->take_own_loss().defined());
  const auto even =
      renderers().make("nerf-volume-renderer", parse("{grid_prune: false}"), "test", scene, context);
  EXPECT_LT((out.opacity - (*even)(request, false, rng).opacity).abs().max().item<float>(), 0.1f);
}

TEST(Proposal, SaysWhatIsMissing) {
  const field::BuildContext context{7};
  const auto geometry =
      field::geometries().make("volume-grid", parse("{grid_size: [4, 4, 4]}"), "test", context);
  const auto message = [&](const std::string& yaml) -> std::string {
    try {
      renderers().make("nerf-volume-renderer", parse(yaml), "system.renderer",
                       Scene{geometry.get(), nullptr, nullptr}, context);
    } catch (const UserError& e) {
      return e.what();
    }
    return "";
  };
  using ::testing::HasSubstr;
  EXPECT_THAT(message("{estimator: proposal}"), HasSubstr("proposal_network_config"));
  EXPECT_THAT(
      message(cat("{estimator: proposal, prop_optimizer_config: {name: Adam}, proposal_network_config: ",
                  kNetwork, "}")),
      HasSubstr("far_plane"));
  EXPECT_THAT(message("{estimator: proposal, far_plane: 3, prop_optimizer_config: {name: Adam}, "
                      "proposal_network_config: {a: 1}}"),
              HasSubstr("renderer.proposal_network_config"));
}

}  // namespace
}  // namespace t3d::render
