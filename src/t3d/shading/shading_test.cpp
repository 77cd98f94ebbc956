#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "t3d/core/config/read_yaml.h"
#include "t3d/shading/background.h"
#include "t3d/shading/material.h"

namespace t3d::shading {
namespace {

const field::BuildContext kContext{9, c10::kCPU};

std::unique_ptr<Background> background(const std::string& type, const std::string& text = "") {
  return backgrounds().make(type, config::read_yaml(text, "test.yaml"), "system.background", kContext);
}

std::unique_ptr<Material> material(const std::string& type, const std::string& text = "") {
  return materials().make(type, config::read_yaml(text, "test.yaml"), "system.material", kContext);
}

at::Tensor directions() {
  const auto d = at::randn({2, 3, 4, 3});
  return d / d.norm(2, at::IntArrayRef{-1}, true);
}

TEST(Background, EveryTypeGivesAColourForEveryRay) {
  Rng rng(1);
  for (const std::string& name : backgrounds().names())
    EXPECT_EQ((*background(name))(directions(), true, rng).sizes(), at::IntArrayRef({2, 3, 4, 3})) << name;
}

TEST(Background, RandomColoursAreOneForEachImageAndCarryNoGradient) {
  Rng rng(1);
  const auto b = background("neural-environment-map-background", "random_aug: true\nrandom_aug_prob: 1.0\n");
  const auto c = (*b)(directions(), true, rng);
  EXPECT_FALSE(c.requires_grad());
  EXPECT_TRUE(c[0][0][0].equal(c[0][2][3]));
  EXPECT_FALSE(c[0][0][0].equal(c[1][0][0]));
  EXPECT_TRUE((*b)(directions(), false, rng).requires_grad());
}

TEST(Background, RandomGreysStayInTheirRangeAndCanBeSharedByABatch) {
  Rng rng(1);
  const auto b = background("solid-color-background",
                            "random_aug: true\nrandom_aug_prob: 1.0\nrandom_aug_range: [0.35, 1.0]\n"
                            "random_aug_grey: true\nshare_aug_bg: true\n");
  double lowest = 1, highest = 0;
  for (int i = 0; i < 100; ++i) {
    const auto c = (*b)(directions(), true, rng);
    EXPECT_EQ(c.max().item<double>(), c.min().item<double>());
    lowest = std::min(lowest, c.min().item<double>());
    highest = std::max(highest, c.min().item<double>());
  }
  EXPECT_GE(lowest, 0.35 - 1e-6);
  EXPECT_LT(lowest, 0.45);
  EXPECT_GT(highest, 0.9);
}

TEST(Background, EvalColorRulesOutsideOfTraining) {
  Rng rng(1);
  const auto b = background("neural-environment-map-background", "eval_color: [0.0, 1.0, 0.0]\n");
  EXPECT_EQ((*b)(directions(), false, rng)[1][1][1][1].item<float>(), 1);
}

TEST(Background, LearnedOnesAreNamedAsInThreestudiosCheckpoints) {
  EXPECT_EQ(background("solid-color-background", "learned: true\n")->parameters().count("env_color"), 1u);
  EXPECT_EQ(background("solid-color-background")->parameters().size(), 0u);
  EXPECT_EQ(background("textured-background")->parameters().count("texture"), 1u);
  EXPECT_EQ(background("neural-environment-map-background")->parameters().count("network.layers.4.weight"),
            1u);
}

TEST(Background, ColourNeedsOneNumberForEachChannel) {
  EXPECT_THROW(background("solid-color-background", "color: [1.0]\n"), UserError);
}

ShadingInput lit_from_above() {
  ShadingInput in;
  in.features = at::zeros({1, 3});
  in.positions = at::zeros({1, 3});
  in.light_positions = at::tensor({0.f, 0.f, 2.f}).reshape({1, 3});
  in.shading_normal = at::tensor({0.f, std::sqrt(0.75f), 0.5f}).reshape({1, 3});
  return in;
}

TEST(Material, NoMaterialIsTheActivatedFeatures) {
  Rng rng(1);
  EXPECT_NEAR((*material("no-material"))(lit_from_above(), rng)[0][0].item<float>(), 0.5f, 1e-6);
  auto wrong = lit_from_above();
  wrong.features = at::zeros({1, 5});
  EXPECT_THROW((*material("no-material"))(wrong, rng), UserError);
}

TEST(Material, NoMaterialWithANetworkTakesMoreFeatures) {
  Rng rng(1);
  const auto m = material("no-material", "input_feature_dims: 8\nmlp_network_config: {otype: VanillaMLP}\n");
  auto in = lit_from_above();
  in.features = at::rand({7, 8});
  EXPECT_EQ((*m)(in, rng).sizes(), at::IntArrayRef({7, 3}));
}

TEST(Material, DiffuseShadingFollowsTheCosine) {
  Rng rng(1);
  const auto m = material("diffuse-with-point-light-material", "ambient_only_steps: 0\n");
  EXPECT_NEAR((*m)(lit_from_above(), rng)[0][0].item<float>(), 0.5f * (0.1f + 0.9f * 0.5f), 1e-6);
  auto in = lit_from_above();
  in.shading = "textureless";
  EXPECT_NEAR((*m)(in, rng)[0][0].item<float>(), 0.1f + 0.9f * 0.5f, 1e-6);
  in.shading = "albedo";
  EXPECT_NEAR((*m)(in, rng)[0][0].item<float>(), 0.5f, 1e-6);
}

TEST(Material, FirstStepsSeeTheAlbedoAlone) {
  Rng rng(1);
  const auto m = material("diffuse-with-point-light-material", "ambient_only_steps: 10\n");
  EXPECT_NEAR((*m)(lit_from_above(), rng)[0][0].item<float>(), 0.5f, 1e-6);
  m->update_step(10);
  EXPECT_LT((*m)(lit_from_above(), rng)[0][0].item<float>(), 0.3f);
}

TEST(Material, TrainingDrawsTheThreeModesAsOftenAsConfigured) {
  Rng rng(1);
  const auto m = material("diffuse-with-point-light-material", "ambient_only_steps: 0\n");
  auto in = lit_from_above();
  in.is_training = true;
  int n_albedo = 0, n_textureless = 0;
  for (int i = 0; i < 2000; ++i) {
    const float c = (*m)(in, rng)[0][0].item<float>();
    n_albedo += std::abs(c - 0.5f) < 1e-4f;
    n_textureless += std::abs(c - 0.55f) < 1e-4f;
  }
  EXPECT_NEAR(n_albedo, 500, 80);
  EXPECT_NEAR(n_textureless, 750, 80);
}

}  // namespace
}  // namespace t3d::shading
