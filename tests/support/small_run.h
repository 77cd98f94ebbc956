#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "t3d/core/config/overrides.h"
#include "t3d/core/config/read_yaml.h"
#include "t3d/core/remove_tree.h"
#include "t3d/guidance/guidance.h"
#include "t3d/system/run.h"
#include "t3d/train/checkpoint.h"
#include "tests/support/no_prompt.h"

/// Runs of text to 3D that take a second, with a guidance in the place of a diffusion model.
namespace t3d::testing {

/// Pulls the picture towards one colour, with noise of its own; broken at the steps of `bad_from` on.
class TowardsRed : public guidance::Guidance {
 public:
  explicit TowardsRed(int64_t bad_from, int64_t bad_until) : bad_from_(bad_from), bad_until_(bad_until) {}
  guidance::GuidanceOutput operator()(const guidance::Views& views, const guidance::PromptEmbeddings&,
                                      Rng& rng) override {
    const auto target = at::tensor({0.8f, 0.1f + 0.1f * rng.uniform(), 0.1f});
    auto loss = (views.rgb - target).square().mean();
    if (step_ >= bad_from_ && step_ < bad_until_) loss = loss * std::nanf("");
    guidance::GuidanceOutput out;
    out.losses["loss_sds"] = loss;
    return out;
  }
  void update_step(int64_t step) override { step_ = step; }
  at::Tensor decode(const at::Tensor& latents) const override { return latents.narrow(3, 0, 3).sigmoid(); }
  const guidance::Model& model() const override { return model_; }

 private:
  int64_t bad_from_, bad_until_, step_ = 0;
  guidance::Model model_;
};

inline system::SystemContext context(int64_t bad_from = 1 << 30, int64_t bad_until = 1 << 30) {
  system::SystemContext c;
  c.make_guidance = [=] { return std::make_unique<TowardsRed>(bad_from, bad_until); };
  c.make_prompt = [] { return std::make_unique<NoPrompt>(); };
  return c;
}

/// A scene of a hash grid with everything that steps can have, tiny.
inline const char* const kRecipe = R"(
data_type: random-camera-datamodule
data: {width: 16, height: 16, batch_size: 2, eval_width: 16, eval_height: 16, n_val_views: 2, n_test_views: 3}
system_type: dreamfusion-system
system:
  geometry_type: implicit-volume
  geometry:
    pos_encoding_config: {otype: HashGrid, n_levels: 3, log2_hashmap_size: 10, base_resolution: 4}
  material_type: diffuse-with-point-light-material
  material: {ambient_only_steps: 2}
  background_type: neural-environment-map-background
  renderer_type: nerf-volume-renderer
  renderer: {num_samples_per_ray: 24}
  guidance_type: stable-diffusion-guidance
  prompt_processor_type: stable-diffusion-prompt-processor
  loss: {lambda_sds: 1.0, lambda_orient: [0, 0.0, 1.0, 10], lambda_sparsity: 0.1, lambda_opaque: 0.1}
  optimizer:
    name: Adan
    args: {lr: 0.01}
    params: {geometry: {lr: 0.01}, background: {lr: 0.001}}
trainer: {max_steps: 20, log_every_n_steps: 5, enable_progress_bar: false}
checkpoint: {every_n_seconds: 0}
)";

/// The recipe with other words in one place.
inline std::string with(const std::string& what, const std::string& instead) {
  std::string text = kRecipe;
  text.replace(text.find(what), what.size(), instead);
  return text;
}

/// The recipe with a proposal network, which learns by an optimizer of its own.
inline std::string with_proposal() {
  return with("renderer: {num_samples_per_ray: 24}", R"(renderer:
    num_samples_per_ray: 12
    num_samples_per_ray_proposal: 16
    estimator: proposal
    near_plane: 0.1
    far_plane: 3.0
    proposal_network_config:
      encoding_config: {otype: HashGrid, n_levels: 2, log2_hashmap_size: 8, base_resolution: 4}
      network_config: {otype: VanillaMLP, n_neurons: 16}
    prop_optimizer_config: {name: Adam, args: {lr: 0.01}}
    prop_scheduler_config: {name: ExponentialLR, args: {gamma: 0.9}})");
}

/// A folder for runs, removed afterwards.
class RunTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = (std::filesystem::temp_directory_path() /
               ("t3d_run_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name())))
                  .string();
    remove_tree(folder_);
  }
  void TearDown() override { remove_tree(folder_); }

  system::Experiment experiment(const std::vector<std::string>& overrides, const std::string& name = "a",
                                const std::string& recipe = kRecipe) const {
    config::Node root = config::read_yaml(recipe, "recipe.yaml");
    config::apply_override(root, "trial_dir=" + folder_ + "/" + name);
    for (const auto& text : overrides) config::apply_override(root, text);
    return system::read_experiment(root);
  }
  std::map<std::string, at::Tensor> last(const std::string& name = "a") const {
    const auto found = train::find_checkpoint(folder_ + "/" + name);
    auto tensors = train::load_checkpoint(found.path).tensors;
    for (auto& [key, t] : tensors) t = t.clone();
    return tensors;
  }

  std::string folder_;
};

inline void expect_equal(const std::map<std::string, at::Tensor>& a,
                         const std::map<std::string, at::Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, t] : a) {
    ASSERT_EQ(b.count(name), 1u) << name;
    EXPECT_TRUE(t.equal(b.at(name))) << name;
  }
}

}  // namespace t3d::testing
