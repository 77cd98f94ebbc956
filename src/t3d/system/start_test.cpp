#include "t3d/system/start.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "t3d/core/config/overrides.h"
#include "t3d/core/config/read_yaml.h"
#include "t3d/system/run.h"
#include "t3d/system/saved_weights.h"
#include "tests/support/message_of.h"
#include "tests/support/no_prompt.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/torch_writer.h"

namespace t3d::system {
namespace {

namespace fs = std::filesystem;
using OneRun = Run;  // gtest has a Run, too
using ::testing::HasSubstr;
using testing::message_of;

/// Pulls the picture towards grey; something of its own learns by the name of VSD's camera embedding.
class TowardsGrey : public guidance::Guidance {
 public:
  void collect(const std::string& prefix, NamedTensors& parameters, NamedTensors&) const override {
    parameters.emplace(prefix + "camera_embedding.linear_1.bias", bias_);
  }
  guidance::GuidanceOutput operator()(const guidance::Views& views, const guidance::PromptEmbeddings&,
                                      Rng&) override {
    guidance::GuidanceOutput out;
    out.losses["loss_sds"] = (views.rgb - 0.5 + bias_).square().mean();
    return out;
  }
  void update_step(int64_t) override {}
  at::Tensor decode(const at::Tensor& latents) const override { return latents; }
  const guidance::Model& model() const override { return model_; }

 private:
  at::Tensor bias_ = at::zeros({3}).requires_grad_(true);
  guidance::Model model_;
};

const char* const kGrowingRecipe = R"(
data_type: random-camera-datamodule
data: {width: 8, height: 8, eval_width: 8, eval_height: 8, n_val_views: 1}
system_type: dreamfusion-system
system:
  geometry_type: implicit-volume
  geometry:
    pos_encoding_config: {otype: ProgressiveBandHashGrid, n_levels: 4, log2_hashmap_size: 10, base_resolution: 4,
                          start_level: 1, start_step: 0, update_steps: 2}
  material_type: no-material
  background_type: neural-environment-map-background
  renderer_type: nerf-volume-renderer
  renderer: {num_samples_per_ray: 16}
  guidance_type: stable-diffusion-guidance
  prompt_processor_type: stable-diffusion-prompt-processor
  loss: {lambda_sds: 1.0}
  optimizer: {name: Adam, args: {lr: 0.01}}
trainer: {max_steps: 6, enable_progress_bar: false}
checkpoint: {every_n_seconds: 0}
)";

class StartTest : public ::testing::Test {
 protected:
  Experiment experiment(std::vector<std::string> overrides, const std::string& name) const {
    config::Node root = config::read_yaml(kGrowingRecipe, "recipe.yaml");
    overrides.push_back("trial_dir=" + (folder_ / name));
    for (const auto& text : overrides) config::apply_override(root, text);
    return read_experiment(root);
  }
  std::unique_ptr<OneRun> run(const std::vector<std::string>& overrides, const std::string& name) const {
    SystemContext c;
    c.make_guidance = [] { return std::make_unique<TowardsGrey>(); };
    c.make_prompt = [] { return std::make_unique<testing::NoPrompt>(); };
    return std::make_unique<OneRun>(experiment(overrides, name), c);
  }
  /// A run of another seed, its folder with a checkpoint of ours and, as threestudio's, ckpts/theirs.ckpt.
  std::unique_ptr<OneRun> trained(const std::string& name = "first") const {
    auto made = run({"seed=9"}, name);
    write_run_folder(made->experiment(), "", {});
    made->fit();
    made->system().update_step(made->step(), false);
    write_lightning(*made, folder_ / (name + "/ckpts/theirs.ckpt"));
    return made;
  }
  /// What Lightning writes, of the parts that are read.
  static void write_lightning(OneRun& from, const std::string& path) {
    std::map<std::string, at::Tensor> tensors = from.system().parameters();
    for (const auto& [name, tensor] : from.system().buffers()) tensors.emplace(name, tensor);
    const auto bias = tensors.extract("guidance.camera_embedding.linear_1.bias");
    tensors.emplace("guidance.camera_embedding.module.linear_1.bias", bias.mapped());
    tensors.emplace("background.encoding.encoding.encoding.params", at::empty({0}));
    testing::write_lightning_file(path, from.step(), tensors);
  }
  std::string theirs(const std::string& name = "first") const {
    return folder_ / (name + "/ckpts/theirs.ckpt");
  }

  testing::TemporaryFolder folder_;
};

void expect_same(OneRun& a, OneRun& b, const std::string& part, bool is_same = true) {
  const auto ours = a.system().parameters();
  int n = 0;
  for (const auto& [name, tensor] : b.system().parameters()) {
    if (name.rfind(part, 0) != 0) continue;
    EXPECT_EQ(ours.at(name).equal(tensor), is_same) << name;
    ++n;
  }
  EXPECT_GT(n, 0);
}

TEST_F(StartTest, SystemWeightsComeFromOurCheckpointsAndFromThreestudios) {
  const auto first = trained();
  for (const std::string& path : {folder_ / "first", theirs()}) {
    SCOPED_TRACE(path);
    const auto second = run({"system.weights='" + path + "'"}, "second");
    second->restore_for_evaluation();
    expect_same(*second, *first, "geometry.");
    expect_same(*second, *first, "background.");
    EXPECT_EQ(second->step(), 0);
    // The levels that were open at step 6 are open, though the step is 0.
    const auto x = at::tensor({0.1f, 0.2f, 0.3f}).unsqueeze(0);
    EXPECT_TRUE(second->system().geometry().appearance()->features_at(x).equal(
        first->system().geometry().appearance()->features_at(x)));

    const auto third =
        run({"system.weights='" + path + "'", "system.weights_ignore_modules=[background]"}, "third");
    third->restore_for_evaluation();
    expect_same(*third, *first, "geometry.");
    expect_same(*third, *first, "background.", false);
  }
  EXPECT_THAT(message_of([&] {
                run({"system.weights='" + theirs() + "'",
                     "system.weights_ignore_modules=[geometry, background, renderer]"},
                    "x")
                    ->restore_for_evaluation();
              }),
              HasSubstr("nothing that fits"));
}

TEST_F(StartTest, PartsTakeAllTheirTensorsOrSayWhatIsWrong) {
  const auto first = trained();
  const auto second =
      run({"system.geometry.weights='" + theirs() + ":geometry'",
           "system.background.weights='" + (folder_ / "first/ckpts/last.ckpt") + ":background'"},
          "second");
  second->restore_for_evaluation();
  expect_same(*second, *first, "geometry.");
  expect_same(*second, *first, "background.");
  const auto started = [&](const std::string& more) {
    return message_of([&] { run({more}, "x")->restore_for_evaluation(); });
  };
  EXPECT_THAT(started("system.geometry.weights='" + theirs() + "'"), HasSubstr("path/to/last.ckpt:geometry"));
  EXPECT_THAT(started("system.geometry.weights='" + theirs() + ":background'"), HasSubstr("is not there"));
  EXPECT_THAT(started("system.geometry={n_feature_dims: 5, weights: '" + theirs() + ":geometry'}"),
              HasSubstr("feature_network"));
}

TEST_F(StartTest, TheGuidancesPartIsReadOnceItIsOpen) {
  const auto first = trained();
  EXPECT_NE(first->system().parameters().at("guidance.camera_embedding.linear_1.bias").norm().item<float>(),
            0);
  for (const std::string& path : {theirs(), folder_ / "first"}) {
    const auto second =
        run({"system.guidance.weights='" + path + ":guidance'", "trainer.max_steps=0"}, "second");
    second->fit();
    expect_same(*second, *first, "guidance.");
    expect_same(*second, *first, "geometry.", false);
  }
}

TEST_F(StartTest, ResumingFromTheirsTakesWeightsAndStep) {
  const auto first = trained();
  const auto second = run({"resume='" + theirs() + "'"}, "second");
  second->restore_for_evaluation();
  EXPECT_EQ(second->step(), 6);
  expect_same(*second, *first, "geometry.");
  second->validate();
  EXPECT_TRUE(fs::exists(folder_ / "second/save/it6-0.png"));
  const auto third = run({"resume='" + theirs() + "'", "trainer.max_steps=8"}, "third");
  EXPECT_EQ(third->fit().steps, 8);
  EXPECT_THAT(message_of([&] {
                run({"resume='" + theirs() + "'", "system.geometry.pos_encoding_config.n_levels=3"}, "x")
                    ->restore_for_evaluation();
              }),
              HasSubstr("expected"));
}

TEST_F(StartTest, GeometriesOfEarlierRunsAreTakenOverWithTheirFolder) {
  const auto first = trained();
  const auto x = at::tensor({0.1f, 0.2f, 0.3f}).unsqueeze(0);
  const auto& earlier = first->system().geometry();
  for (const std::string& path : {folder_ / "first", theirs()}) {
    SCOPED_TRACE(path);
    const std::string from = "system.geometry_convert_from='" + path + "'";
    const auto shape = run({from}, "shape");
    shape->restore_for_evaluation();
    EXPECT_TRUE(shape->system().geometry().density()->density_at(x).equal(earlier.density()->density_at(x)));
    EXPECT_FALSE(
        shape->system().geometry().appearance()->features_at(x).equal(earlier.appearance()->features_at(x)));
    const auto whole = run({from, "system.geometry_convert_inherit_texture=true"}, "whole");
    EXPECT_EQ(whole->fit().steps, 6);
    const auto again =
        run({from, "system.geometry_convert_inherit_texture=true", "trainer.max_steps=0"}, "again");
    again->fit();
    EXPECT_TRUE(
        again->system().geometry().appearance()->features_at(x).equal(earlier.appearance()->features_at(x)));
  }
  const std::string from = "system.geometry_convert_from='" + theirs() + "'";
  EXPECT_THAT(message_of([&] {
                run({from, "system.geometry_convert_override={radius: 2.0}"}, "x")->restore_for_evaluation();
              }),
              HasSubstr("Set system.geometry.radius=2"));
  fs::remove(folder_ / "first/configs/parsed.yaml");
  EXPECT_THAT(message_of([&] { run({from}, "x")->restore_for_evaluation(); }),
              HasSubstr("parsed.yaml is not there"));
}

TEST_F(StartTest, AGridOfTetrahedraStartsAsTheFieldOfAnEarlierRun) {
  const auto first = trained();
  const auto& earlier = first->system().geometry();
  const std::vector<std::string> grid = {
      "system.geometry_type=tetrahedra-sdf-grid",
      "system.renderer_type=nvdiff-rasterizer",
      "system.renderer=null",
      "system.renderer={}",
      "system.geometry=null",
      "system.geometry={isosurface_resolution: 16, pos_encoding_config: {otype: HashGrid, n_levels: 4, "
      "log2_hashmap_size: 10, base_resolution: 4}}",
      "system.geometry_convert_inherit_texture=true"};
  const auto started = [&](const std::string& path, const std::string& more) {
    auto overrides = grid;
    overrides.push_back("system.geometry_convert_from='" + path + "'");
    overrides.push_back(more);
    auto made = run(overrides, "grid");
    made->restore_for_evaluation();
    return made;
  };
  for (const std::string& path : {folder_ / "first", theirs()}) {
    SCOPED_TRACE(path);
    const auto made = started(path, "system.geometry_convert_override={isosurface_threshold: 4.0}");
    const auto& geometry = made->system().geometry();
    const auto vertices = geometry.surface()->surface_mesh().vertices.detach();
    EXPECT_LT((earlier.density()->density_at(vertices) - 4).abs().mean().item<float>(), 0.5f);
    EXPECT_TRUE(
        geometry.appearance()->features_at(vertices).equal(earlier.appearance()->features_at(vertices)));
  }
  EXPECT_THAT(
      message_of(
          [&] { started(theirs(), "system.geometry_convert_override={isosurface_threshold: 1000.0}"); }),
      HasSubstr("isosurface_threshold=1000. Set geometry.isosurface_threshold between these numbers"));
  EXPECT_THAT(message_of([&] { started(theirs(), "system.geometry.radius=2"); }),
              HasSubstr("Set system.geometry.radius=1"));
}

TEST_F(StartTest, LastIsTheLastRunByName) {
  for (const char* name :
       {"a_cube@20260101-000000", "a_cube@20260301-000000", "a_cube@20260201-000000", "b@9"})
    fs::create_directories(folder_ / (std::string("runs/") + name));
  EXPECT_EQ(latest_run(folder_ / "runs/a cube@LAST/ckpts/last.ckpt"),
            folder_ / "runs/a_cube@20260301-000000/ckpts/last.ckpt");
  EXPECT_EQ(latest_run("some/run"), "some/run");
  EXPECT_THROW(latest_run(folder_ / "runs/c@LAST/ckpts/last.ckpt"), SystemError);
  EXPECT_THROW(latest_run(folder_ / "nowhere/c@LAST"), SystemError);
}

TEST_F(StartTest, FilesThatAreNoCheckpointsSaySo) {
  std::ofstream(folder_ / "text.ckpt") << "hello";
  EXPECT_THROW(read_saved_weights(folder_ / "text.ckpt"), UserError);
  EXPECT_THROW(read_saved_weights(folder_ / "gone.ckpt"), SystemError);
}

}  // namespace
}  // namespace t3d::system
