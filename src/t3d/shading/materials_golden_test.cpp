#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <vector>

#include "t3d/core/config/read_yaml.h"
#include "t3d/core/config/struct_io.h"
#include "t3d/shading/diffuse_point_light.h"
#include "t3d/shading/material.h"
#include "tests/support/golden_cases.h"
#include "tests/support/golden_options.h"

namespace t3d::shading {
namespace {

using testing::GoldenCases;
using testing::GoldenOptions;
using testing::max_relative_error;
using testing::record_golden;

const char* const kDiffuse = "materials/cases_diffuse.safetensors";
const char* const kOther = "materials/cases_other.safetensors";
const field::BuildContext kContext{9, c10::kCPU};

/// Those of the recorded options that a configuration has.
config::Node keys_of(const GoldenOptions& options, const std::vector<std::string>& keys) {
  nlohmann::json block = nlohmann::json::object();
  for (const std::string& key : keys)
    if (options.has(key)) block[key] = options.at(key);
  return config::read_yaml(block.dump(), "options.json");
}

at::Tensor leaf(const GoldenCases& cases, const std::string& name) {
  return cases.as_float(name).clone().set_requires_grad(true);
}

void expect_output(const std::string& file, const std::string& name, const at::Tensor& actual,
                   const at::Tensor& expected) {
  const double error = max_relative_error(actual, expected, 1);
  EXPECT_LT(error, 1e-4) << name;
  record_golden(file + "/" + name, error);
}

/// The gradients of sum(output * weights) by `inputs`, held against NAME.grad.INPUT. One that the graph lacks
/// is zero.
void expect_gradients(const std::string& file, const GoldenCases& cases, const std::string& name,
                      const at::Tensor& output, const at::Tensor& weights,
                      const std::vector<std::pair<std::string, at::Tensor>>& inputs) {
  for (const auto& [input, tensor] : inputs) {
    at::Tensor gradient = torch::autograd::grad({(output * weights).sum()}, {tensor}, {},
                                                /*retain_graph=*/true, false, true)[0];
    if (!gradient.defined()) gradient = at::zeros_like(tensor);
    const std::string key = name + ".grad." + input;
    const double error = max_relative_error(gradient, cases.tensor(key));
    EXPECT_LT(error, 1e-3) << key;
    record_golden(file + "/" + key, error);
  }
}

TEST(GoldenMaterials, PointLightMatchesInEveryMode) {
  T3D_NEED_CASES(kDiffuse);
  const GoldenCases cases(kDiffuse);
  const GoldenOptions all(kDiffuse);
  at::Tensor features = leaf(cases, "features"), positions = leaf(cases, "positions"),
             normals = leaf(cases, "shading_normal"), lights = leaf(cases, "light_positions");
  for (const std::string& name : all.runs()) {
    const GoldenOptions run = all.run(name);
    const auto config = config::read_struct<DiffusePointLight::Config>(
        keys_of(run, {"ambient_light_color", "diffuse_light_color", "ambient_only_steps", "diffuse_prob",
                      "textureless_prob", "albedo_activation", "soft_shading", "ambient_only_on_test"}),
        "material");
    DiffusePointLight material(config, kContext);
    material.update_step(run.whole("global_step"));
    ShadingInput in;
    in.features = features;
    in.positions = positions;
    in.shading_normal = normals;
    in.light_positions = lights;
    in.is_training = run.truth("training");
    if (run.has("shading")) in.shading = run.text("shading");
    if (run.has("ambient_ratio")) in.ambient_ratio = static_cast<float>(run.number("ambient_ratio"));
    const auto draws = run.at("draws").get<std::vector<float>>();
    size_t n_drawn = 0;
    const at::Tensor colour = material.shade(in, [&] { return draws.at(n_drawn++); });
    EXPECT_EQ(n_drawn, draws.size()) << name;
    expect_output("diffuse", name, colour, cases.tensor(name));
    expect_gradients("diffuse", cases, name, colour, cases.as_float("R"),
                     {{"features", features},
                      {"positions", positions},
                      {"shading_normal", normals},
                      {"light_positions", lights}});
    expect_output("diffuse", "export.albedo", material.maps(features).at("albedo"),
                  cases.tensor("export.albedo"));
  }
}

TEST(GoldenMaterials, MaterialsWithoutLightMatch) {
  T3D_NEED_CASES(kOther);
  const GoldenCases cases(kOther);
  const GoldenOptions all(kOther);
  for (const std::string& name : all.runs()) {
    const GoldenOptions run = all.run(name);
    const auto material = materials().make(
        run.text("type"),
        keys_of(run, {"n_output_dims", "color_activation", "input_feature_dims", "mlp_network_config"}),
        "system.material", kContext);
    std::vector<std::pair<std::string, at::Tensor>> inputs;
    const std::string features = run.has("features") ? run.text("features") : "features3";
    inputs.emplace_back("features", leaf(cases, features));
    const at::NoGradGuard writing_weights;
    for (const auto& [key, weight] : material->parameters()) {
      if (run.has("weights"))
        weight.copy_(GoldenCases(run.text("weights")).tensor(key));
      else if (cases.contains(name + ".weight"))
        EXPECT_LT(max_relative_error(weight, cases.tensor(name + ".weight")), 1e-6)
            << "the first value of " << key;
      inputs.emplace_back(key, weight);
    }
    const at::AutoGradMode with_gradients(true);
    ShadingInput in;
    in.features = inputs[0].second;
    Rng rng(1);
    const at::Tensor colour = (*material)(in, rng), weights = cases.as_float(cat("R", colour.size(-1)));
    expect_output("other", name, colour, cases.tensor(name));
    expect_gradients("other", cases, name, colour, weights, inputs);
    const MaterialMaps maps = material->maps(in.features);
    EXPECT_EQ(maps.empty(), run.text("type") != "no-material") << name;
    if (cases.contains(name + ".export")) {
      EXPECT_FALSE(maps.empty()) << name;
      expect_output("other", name + ".export", maps.at("albedo"), cases.tensor(name + ".export"));
    }
  }
}

}  // namespace
}  // namespace t3d::shading
