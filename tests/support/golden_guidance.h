#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "t3d/core/config/struct_io.h"
#include "t3d/diffusion/scheduler.h"
#include "t3d/diffusion/unet_denoiser.h"
#include "t3d/guidance/classifier_free.h"
#include "t3d/guidance/guidance.h"
#include "t3d/guidance/timesteps.h"
#include "tests/support/golden_cases.h"
#include "tests/support/golden_options.h"

/// Models, texts and configurations of recorded guidance cases, as their options describe them.
namespace t3d::testing {

inline config::Node node_of(const nlohmann::json& value) {
  using config::Node;
  if (value.is_boolean()) return Node(value.get<bool>());
  if (value.is_number_integer()) return Node(value.get<int64_t>());
  if (value.is_number()) return Node(value.get<double>());
  if (value.is_string()) return Node(value.get<std::string>());
  if (!value.is_array()) return Node();
  Node::List list;
  for (const auto& one : value) list.push_back(node_of(one));
  return Node(std::move(list));
}

/// A configuration whose keys have the values of the options that bear their names.
template <class Config>
Config config_of(const GoldenOptions& options) {
  Config config;
  config::detail::Names names;
  config.visit(names);
  config::Node block{config::Node::Map{}};
  for (const auto& name : names.known)
    if (options.has(name)) block.set(name, node_of(options.at(name)));
  config::read_struct_into(config, block, "options.json");
  return config;
}

inline diffusion::NoiseSchedule schedule_of(const GoldenOptions& options) {
  return diffusion::NoiseSchedule(
      diffusion::SchedulerConfig::from_json(options.json(), "options.json", "ddim").schedule);
}

/// The model of that name in the set, for latents of the given height and width, with the options' schedule
/// and kind of prediction.
inline std::shared_ptr<const guidance::Model> model_of(const GoldenOptions& options, const std::string& name,
                                                       const at::Tensor& latents,
                                                       const char* prediction_key = "prediction_type") {
  guidance::ModelRequest request;
  request.name = golden_path(name);
  auto model = std::make_shared<guidance::Model>(*guidance::open_model(request));
  model->latent_height = latents.size(2), model->latent_width = latents.size(3);
  model->schedule = schedule_of(options);
  model->denoiser = std::make_shared<diffusion::UNetDenoiser>(
      model->unet, diffusion::prediction_of(options.text(prediction_key), "options.json"));
  return model;
}

inline guidance::DirectionRules directions_of(const GoldenOptions& options) {
  return {static_cast<float>(options.number("overhead_threshold")),
          static_cast<float>(options.number("front_threshold")),
          static_cast<float>(options.number("back_threshold"))};
}

inline guidance::PerpNegRules perp_neg_of(const GoldenOptions& options) {
  const auto curve = [&](const char* key) {
    const auto v = options.at(key).get<std::vector<float>>();
    return guidance::PerpNegCurve{v.at(0), v.at(1), v.at(2)};
  };
  return {curve("perp_neg_f_sb"), curve("perp_neg_f_fsb"), curve("perp_neg_f_fs"), curve("perp_neg_f_sf")};
}

/// The embeddings that the reference ran on, which it made in half precision; GoldenPrompts holds ours
/// against them.
inline guidance::PromptEmbeddings prompts_of(const GoldenOptions& options, bool use_perp_neg = false) {
  const GoldenCases cases(options.text("prompts"));
  return {cases.as_float("text_embeddings"),
          cases.as_float("uncond_text_embeddings"),
          cases.as_float("text_embeddings_vd"),
          directions_of(options),
          use_perp_neg,
          perp_neg_of(options)};
}

/// What prompts_of(options, true) gives for one view, but with the texts mixed in half precision, share and
/// all, where the reference did so: 1e-3 away from the exact mixture, which Perp-Neg's difference of
/// predictions shows.
inline guidance::GuidanceText perp_neg_text_of(const GoldenOptions& options,
                                               const guidance::ViewAngles& view) {
  const auto exact = prompts_of(options, true).perp_neg_text(view);
  auto positive = exact.positive;
  const float elevation = view.elevation_deg.item<float>();
  if (options.text("text_mix_dtype") == "float16" && elevation <= directions_of(options).overhead) {
    const auto texts = GoldenCases(options.text("prompts")).tensor("text_embeddings_vd");
    const float away = std::abs(std::remainder(view.azimuth_deg.item<float>(), 360.0f));
    const float r = away < 90 ? 1 - away / 90 : 2 - away / 90;
    const auto near = texts[away < 90 ? 1 : 0], far = texts[away < 90 ? 0 : 2];
    const auto share = [](float x) { return at::full({1}, x, at::kFloat).to(at::kHalf); };
    positive = (near * share(r) + far * share(1 - r)).to(at::kFloat).unsqueeze(0);
    EXPECT_LT(max_relative_error(positive, exact.positive), 2e-3);
  }
  return {at::cat({positive, exact.negative, exact.opposing.flatten(0, 1)}), exact.weights};
}

inline guidance::Timesteps steps_of(const at::Tensor& t) {
  const auto rows = t.contiguous();
  return guidance::Timesteps::of(
      std::vector<int64_t>(rows.data_ptr<int64_t>(), rows.data_ptr<int64_t>() + rows.numel()), at::kCPU);
}

/// Cameras' angles of rows `from` to `to` of "view" [3,B]: elevation, azimuth, distance.
inline guidance::ViewAngles angles_of(const GoldenCases& cases, int64_t from, int64_t to) {
  const auto view = cases.as_float("view").slice(1, from, to);
  return {view[0].contiguous(), view[1].contiguous(), view[2].contiguous()};
}

}  // namespace t3d::testing
