#include "t3d/shading/pbr_material.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "t3d/core/atomic_file.h"
#include "t3d/core/config/read_yaml.h"
#include "t3d/shading/fg_table.h"
#include "tests/support/golden_cases.h"
#include "tests/support/golden_options.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace t3d::shading {
namespace {

using testing::GoldenCases;
using testing::GoldenOptions;
using ::testing::HasSubstr;
using testing::max_relative_error;

const char* const kPbr = "materials/cases_pbr.safetensors";
const field::BuildContext kContext{9, c10::kCPU};

std::shared_ptr<const EnvironmentLight> even_light(float strength = 1) {
  return std::make_shared<EnvironmentLight>(at::full({6, 16, 16, 3}, strength));
}

/// One point seen straight on, whose features are the properties themselves.
ShadingInput seen_straight_on(const std::vector<float>& features) {
  ShadingInput in;
  in.features = at::tensor(features).unsqueeze(0);
  in.shading_normal = at::tensor({0.f, 0.f, 1.f}).reshape({1, 3});
  in.view_directions = -in.shading_normal;
  return in;
}

PbrMaterial::Config plain() {
  PbrMaterial::Config config;
  config.material_activation = "none";
  config.use_bump = false;
  config.min_metallic = 0, config.max_metallic = 1, config.min_roughness = 0, config.max_roughness = 1;
  return config;
}

TEST(PbrMaterial, InEvenLightColoursAreWhatTheSplitSumSays) {
  const PbrMaterial material(plain(), even_light(0.5f), at::full({4, 4, 2}, 0.25f));
  Rng rng(1);
  // A dielectric: albedo 0.8 and 4 % of reflection; F = 0.04 * 0.25 + 0.25.
  const at::Tensor plastic = material(seen_straight_on({0.8f, 0.8f, 0.8f, 0.f, 0.5f}), rng);
  EXPECT_NEAR(plastic[0][0].item<float>(), 0.5f * (0.8f + 0.26f), 2e-3);
  // A metal has no diffuse part.
  const at::Tensor metal = material(seen_straight_on({0.8f, 0.4f, 0.f, 1.f, 0.5f}), rng);
  EXPECT_NEAR(metal[0][0].item<float>(), 0.5f * (0.8f * 0.25f + 0.25f), 2e-3);
  EXPECT_NEAR(metal[0][2].item<float>(), 0.5f * 0.25f, 2e-3);
}

TEST(PbrMaterial, BumpsBendTheNormalAlongTheTangent) {
  at::Tensor base = at::zeros({6, 16, 16, 3});
  base.slice(0, 0, 1).fill_(1);  // light from +x alone
  PbrMaterial::Config config = plain();
  config.use_bump = true;
  const PbrMaterial material(config, std::make_shared<EnvironmentLight>(base), at::zeros({4, 4, 2}));
  EXPECT_TRUE(material.requires_tangent());
  Rng rng(1);
  const auto brightness = [&](float bump_x) {
    ShadingInput in = seen_straight_on({1, 1, 1, 0, 0.5f, bump_x, 0.5f, 0.5f});
    in.tangent = at::tensor({1.f, 0.f, 0.f}).reshape({1, 3});
    return material(in, rng)[0][0].item<float>();
  };
  EXPECT_GT(brightness(0.9f), 1.5f * brightness(0.5f));
  EXPECT_LT(brightness(0.1f), 0.5f * brightness(0.5f));
}

TEST(PbrMaterial, SaysWhatItLacks) {
  PbrMaterial::Config config = plain();
  config.use_bump = true;
  const PbrMaterial material(config, even_light(), at::zeros({4, 4, 2}));
  Rng rng(1);
  EXPECT_THAT(
      testing::message_of<UserError>([&] { material(seen_straight_on(std::vector<float>(8, 0.5f)), rng); }),
      HasSubstr("set system.material.use_bump=false"));
  EXPECT_THAT(
      testing::message_of<UserError>([&] { material(seen_straight_on(std::vector<float>(5, 0.5f)), rng); }),
      HasSubstr("the geometry gives 5 feature channels, but pbr-material takes 8"));
  EXPECT_THAT(testing::message_of<SystemError>([&] {
                materials().make("pbr-material",
                                 config::read_yaml("environment_texture: no/such.hdr\n", "test.yaml"),
                                 "system.material", kContext);
              }),
              HasSubstr("there is no file no/such.hdr"));
}

TEST(PbrMaterial, WithoutFilesItHasASkyAndATableOfItsOwn) {
  const auto material = materials().make("pbr-material", config::read_yaml("use_bump: false\n", "test.yaml"),
                                         "system.material", kContext);
  field::NamedTensors parameters, buffers;
  material->collect("material.", parameters, buffers);
  EXPECT_TRUE(parameters.empty());
  EXPECT_EQ(buffers.at("material.light.base").sizes(), at::IntArrayRef({6, 512, 512, 3}));
  EXPECT_EQ(buffers.at("material.FG_LUT").sizes(), at::IntArrayRef({1, 256, 256, 2}));
}

TEST(FgTable, IsReadFromAFileOfTheRightSize) {
  const testing::TemporaryFolder folder;
  const at::Tensor table = at::rand({256, 256, 2});
  const std::string path = folder / "table.bin";
  write_file_atomically(path, {static_cast<const char*>(table.data_ptr()), table.nbytes()});
  EXPECT_TRUE(read_fg_table(path).equal(table));
  write_file_atomically(path, "short");
  EXPECT_THAT(testing::message_of<UserError>([&] { read_fg_table(path); }), HasSubstr("has 5 bytes"));
}

TEST(FgTable, ReturnsNoMoreThanComesAndGrowsTowardsTheEdge) {
  const at::Tensor table = fg_table(16);
  EXPECT_GE(table.min().item<float>(), 0);
  EXPECT_LE(table.sum(-1).max().item<float>(), 1 + 1e-4);
  EXPECT_GT(table[2][0][1].item<float>(), 10 * table[2][15][1].item<float>())
      << "Fresnel's term at grazing views";
  EXPECT_GT(table[1][12][0].item<float>(), 0.95f) << "a mirror returns what comes";
}

TEST(GoldenMaterials, PbrMatchesWithAndWithoutBumps) {
  T3D_NEED_CASES(kPbr);
  const GoldenCases cases(kPbr);
  const GoldenOptions all(kPbr);
  EnvironmentLightOptions light;
  light.smallest = all.whole("min_res");
  light.min_roughness = static_cast<float>(all.number("light_min_roughness"));
  light.max_roughness = static_cast<float>(all.number("light_max_roughness"));
  light.weight = TexelWeight::Threestudio;
  const at::Tensor latlong = cases.as_float("latlong") * all.number("environment_scale");
  const auto environment =
      std::make_shared<EnvironmentLight>(cube_of_latlong(latlong, all.whole("max_res")), light);
  for (const std::string& name : all.runs()) {
    const GoldenOptions run = all.run(name);
    PbrMaterial::Config config;
    config.material_activation = run.text("material_activation");
    config.min_metallic = static_cast<float>(run.number("min_metallic"));
    config.max_metallic = static_cast<float>(run.number("max_metallic"));
    config.min_roughness = static_cast<float>(run.number("min_roughness"));
    config.max_roughness = static_cast<float>(run.number("max_roughness"));
    config.use_bump = run.truth("use_bump");
    const PbrMaterial material(config, environment, cases.as_float("fg_lut"));
    const auto leaf = [&](const char* of) { return cases.as_float(of).clone().set_requires_grad(true); };
    ShadingInput in;
    in.features = leaf("features"), in.shading_normal = leaf("shading_normal");
    in.view_directions = leaf("viewdirs"), in.tangent = leaf("tangent");
    Rng rng(1);
    const at::Tensor colour = material(in, rng);
    const double error = max_relative_error(colour, cases.tensor(name + "color"), 1);
    EXPECT_LT(error, 1e-4) << name;
    testing::record_golden("pbr/" + name + "color", error);
    std::vector<std::pair<std::string, at::Tensor>> inputs = {
        {"features", in.features}, {"viewdirs", in.view_directions}, {"shading_normal", in.shading_normal}};
    if (config.use_bump) inputs.emplace_back("tangent", in.tangent);
    for (const auto& [input, tensor] : inputs) {
      const at::Tensor g = torch::autograd::grad({(colour * cases.as_float("R")).sum()}, {tensor}, {},
                                                 /*retain_graph=*/true)[0];
      const std::string key = name + "color.grad." + input;
      const double off = max_relative_error(g, cases.tensor(key));
      EXPECT_LT(off, 1e-3) << key;
      testing::record_golden("pbr/" + key, off);
    }
    const MaterialMaps maps = material.maps(in.features);
    EXPECT_EQ(maps.size(), config.use_bump ? 4u : 3u);
    for (const auto& [map, values] : maps) {
      const double off = max_relative_error(values, cases.tensor(name + "export." + map), 1);
      EXPECT_LT(off, 1e-4) << name << map;
      testing::record_golden("pbr/" + name + "export." + map, off);
    }
  }
}

}  // namespace
}  // namespace t3d::shading
