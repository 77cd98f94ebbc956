#include "t3d/shading/environment_light.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "t3d/core/text.h"
#include "t3d/raster/texture.h"
#include "t3d/shading/sky.h"
#include "tests/support/golden_cases.h"
#include "tests/support/golden_options.h"

namespace t3d::shading {
namespace {

using testing::GoldenCases;
using testing::GoldenOptions;
using testing::max_relative_error;

const char* const kSmall = "materials/cases_pbr.safetensors";
const char* const kLarge = "materials/cases_envlight_512.safetensors";

void expect_light(const std::string& name, const at::Tensor& actual, const at::Tensor& expected) {
  const double error = max_relative_error(actual, expected, 1);
  EXPECT_LT(error, 1e-4) << name;
  testing::record_golden("light/" + name, error);
}

EnvironmentLight light_of(const GoldenCases& cases, const GoldenOptions& options) {
  EnvironmentLightOptions o;
  o.smallest = options.whole("min_res");
  o.min_roughness = static_cast<float>(options.number("light_min_roughness"));
  o.max_roughness = static_cast<float>(options.number("light_max_roughness"));
  o.weight = TexelWeight::Threestudio;
  const at::Tensor latlong = cases.as_float("latlong") * options.number("environment_scale");
  return EnvironmentLight(cube_of_latlong(latlong, options.whole("max_res")), o);
}

at::Tensor direction(float x, float y, float z) {
  return at::tensor({x, y, z}).reshape({1, 3});
}

TEST(EnvironmentLight, LooksWhereThePictureIs) {
  at::Tensor picture = at::zeros({8, 16, 3});
  picture.slice(0, 0, 4).fill_(1);                // the upper half is white,
  picture.select(2, 0).slice(1, 8, 16).fill_(1);  // the right half red
  const auto red_at = [&](UpAxis up, const at::Tensor& d) {
    const EnvironmentLight light(cube_of_latlong(picture, 32, up));
    return light.specular(d, at::full({1, 1}, 0.08f));
  };
  EXPECT_NEAR(red_at(UpAxis::Y, direction(0.5f, 1, 0.2f))[0][1].item<float>(), 1, 1e-3);
  EXPECT_NEAR(red_at(UpAxis::Y, direction(0.3f, -0.4f, -1))[0][0].item<float>(), 1, 1e-3) << "right of -z";
  EXPECT_NEAR(red_at(UpAxis::Y, direction(-0.3f, -0.4f, -1))[0][0].item<float>(), 0, 1e-3);
  EXPECT_NEAR(red_at(UpAxis::Z, direction(0.5f, 0.2f, 1))[0][1].item<float>(), 1, 1e-3);
  EXPECT_NEAR(red_at(UpAxis::Z, direction(1, -0.3f, -0.4f))[0][0].item<float>(), 1, 1e-3) << "right of +x";
  EXPECT_NEAR(red_at(UpAxis::Z, direction(1, 0.3f, -0.4f))[0][0].item<float>(), 0, 1e-3);
}

TEST(EnvironmentLight, LevelsFollowTheBaseThatACheckpointBrings) {
  at::Tensor base = at::ones({6, 32, 32, 3});
  const EnvironmentLight light(base);
  EXPECT_NEAR(light.diffuse(direction(0, 0, 1)).max().item<float>(), 1, 5e-3);
  base.fill_(3);
  EXPECT_NEAR(light.diffuse(direction(0, 0, 1)).max().item<float>(), 3, 2e-2);
  EXPECT_NEAR(light.specular(direction(0, 0, 1), at::full({1, 1}, 0.7f)).max().item<float>(), 3, 1e-4);
}

TEST(EnvironmentLight, OneLevelIsEnough) {
  const EnvironmentLight light(at::full({6, 16, 16, 3}, 2.0f));
  EXPECT_NEAR(light.specular(direction(1, 1, 1), at::full({1, 1}, 0.3f)).min().item<float>(), 2, 1e-4);
}

TEST(Sky, IsBrightAboveAndDimBelow) {
  const EnvironmentLight light(sky_cube(64));
  const float up = light.diffuse(direction(0, 0, 1)).mean().item<float>();
  const float down = light.diffuse(direction(0, 0, -1)).mean().item<float>();
  EXPECT_NEAR(up, 0.5, 0.1);
  EXPECT_LT(down, up / 2);
  const at::Tensor mirror = at::full({1, 1}, 0.1f);
  EXPECT_GT(light.specular(direction(0.49f, -0.41f, 0.77f), mirror).min().item<float>(),
            4 * light.specular(direction(-0.49f, 0.41f, 0.77f), mirror).max().item<float>())
      << "the sun is in front, to the left";
}

TEST(GoldenLight, CubeLevelsAndLookupsMatch) {
  T3D_NEED_CASES(kSmall);
  const GoldenCases cases(kSmall);
  const GoldenOptions options(kSmall);
  expect_light("texel_weight", texel_weights(options.whole("max_res"), TexelWeight::Threestudio),
               cases.tensor("light.texel_weight"));
  const EnvironmentLight light = light_of(cases, options);
  expect_light("base", light.base(), cases.tensor("light.base"));
  const auto filtered = light.filtered();
  const at::Tensor cones = cases.tensor("light.cos_cutoff");
  ASSERT_EQ(static_cast<int64_t>(filtered.specular.size()), cones.size(0));
  const std::vector<at::Tensor> mips =
      raster::texture_mips(light.base(), static_cast<int>(cones.size(0)) - 1);
  for (size_t l = 0; l < filtered.specular.size(); ++l) {
    expect_light(cat("specular", l), filtered.specular[l][0], cases.tensor(cat("light.specular", l)));
    if (l > 0) expect_light(cat("mip", l), mips[l - 1], cases.tensor(cat("light.mip", l)));
  }
  expect_light("diffuse", filtered.diffuse[0], cases.tensor("light.diffuse"));

  const int64_t n = options.whole("n_lookups_with_grad");
  at::Tensor directions = cases.as_float("lookup.dirs").clone().set_requires_grad(true);
  at::Tensor roughness = cases.as_float("lookup.roughness").clone().set_requires_grad(true);
  expect_light("lookup.mip", light.level_of(roughness), cases.tensor("lookup.mip"));
  const at::Tensor diffuse = light.diffuse(directions), specular = light.specular(directions, roughness);
  expect_light("lookup.diffuse", diffuse, cases.tensor("lookup.diffuse"));
  expect_light("lookup.specular", specular, cases.tensor("lookup.specular"));
  const at::Tensor weights = cases.as_float("R.lookup");
  const auto expect_gradient = [&](const at::Tensor& gradient, const std::string& name) {
    const double error = max_relative_error(gradient.slice(0, 0, n), cases.tensor(name));
    EXPECT_LT(error, 1e-3) << name;
    testing::record_golden("light/" + name, error);
  };
  expect_gradient(torch::autograd::grad({(diffuse * weights).sum()}, {directions})[0],
                  "lookup.diffuse.grad.dirs");
  const auto g = torch::autograd::grad({(specular * weights).sum()}, {directions, roughness});
  expect_gradient(g[0], "lookup.specular.grad.dirs");
  expect_gradient(g[1], "lookup.specular.grad.roughness");
}

TEST(GoldenLight, ConesMatch) {
  T3D_NEED_CASES(kLarge);
  const GoldenCases cases(kLarge);
  const auto roughness = GoldenOptions(kLarge).at("roughness").get<std::vector<float>>();
  const at::Tensor cones = cases.tensor("cos_cutoff");
  for (size_t l = 0; l < roughness.size(); ++l)
    EXPECT_NEAR(cone_cosine(roughness[l]), cones[static_cast<int64_t>(l)].item<double>(), 1e-6) << l;
}

TEST(GoldenLight, LevelsOfTheRealSizeMatch) {
  T3D_NEED_CASES(kLarge);
  const GoldenCases cases(kLarge);
  const EnvironmentLight light = light_of(cases, GoldenOptions(kLarge));
  const auto filtered = light.filtered();
  const auto expect_texels = [&](const std::string& name, const at::Tensor& cube) {
    at::Tensor texels = cube.reshape({-1, 3});
    if (cases.contains(name + ".index"))
      texels = texels.index_select(0, cases.tensor(name + ".index").to(at::kLong));
    expect_light("512." + name, texels, cases.tensor(name).reshape({-1, 3}));
  };
  expect_texels("base", light.base());
  expect_texels("diffuse", filtered.diffuse);
  for (size_t l = 0; l < filtered.specular.size(); ++l)
    expect_texels(cat("specular", l), filtered.specular[l]);
}

}  // namespace
}  // namespace t3d::shading
