#include "t3d/system/run.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "t3d/core/atomic_file.h"
#include "t3d/core/config/overrides.h"
#include "t3d/core/config/read_yaml.h"
#include "t3d/guidance/guidance_eval.h"
#include "t3d/io/image.h"
#include "t3d/io/video.h"
#include "t3d/system/mesh_exporter.h"
#include "t3d/system/scene_mesh.h"
#include "t3d/train/checkpoint.h"
#include "tests/support/box_file.h"
#include "tests/support/message_of.h"
#include "tests/support/no_prompt.h"
#include "tests/support/small_run.h"

namespace t3d::system {
namespace {

namespace fs = std::filesystem;
using OneRun = Run;  // gtest has a Run, too
using testing::context;
using testing::expect_equal;
using ::testing::HasSubstr;
using testing::kRecipe;
using testing::RunTest;
using testing::TowardsRed;
using testing::with;
using testing::with_proposal;

/// TowardsRed for latents of four channels.
class FourChannels : public TowardsRed {
 public:
  FourChannels() : TowardsRed(1 << 30, 1 << 30) {}
  guidance::GuidanceOutput operator()(const guidance::Views& views, const guidance::PromptEmbeddings&,
                                      Rng&) override {
    guidance::GuidanceOutput out;
    out.losses["loss_sds"] = (views.rgb - 0.5).square().mean();
    if (views.rgb.size(3) != 4 || !views.is_latent) throw UserError("expected latents");
    return out;
  }
};

/// TowardsRed with pictures to show: as many draws as it likes, which the training must not notice.
class Showing : public TowardsRed {
 public:
  explicit Showing(int* n_shown = nullptr) : TowardsRed(1 << 30, 1 << 30), n_shown_(n_shown) {}
  guidance::GuidancePictures evaluate(const guidance::Views& views, const guidance::PromptEmbeddings&,
                                      Rng& rng) const override {
    const auto seen = views.rgb.detach().clamp(0, 1);
    rng.uniform();
    if (n_shown_ != nullptr) ++*n_shown_;
    return {seen, seen, seen, seen, seen, std::vector<double>(static_cast<size_t>(seen.size(0)), 0.5)};
  }

 private:
  int* n_shown_;
};

TEST_F(RunTest, TwoRunsOfOneSeedAreTheSameBits) {
  OneRun(experiment({}, "a"), context()).fit();
  OneRun(experiment({}, "b"), context()).fit();
  expect_equal(last("a"), last("b"));
  OneRun(experiment({"seed=1"}, "c"), context()).fit();
  EXPECT_FALSE(last("a").begin()->second.equal(last("c").begin()->second));
}

TEST_F(RunTest, ResumingGivesTheBitsOfARunWithoutAStop) {
  OneRun(experiment({}, "whole"), context()).fit();
  FitHooks stop;
  stop.should_stop = [](int64_t done) { return done >= 9; };
  OneRun(experiment({}, "cut"), context()).fit(stop);
  OneRun(experiment({"resume=" + folder_ + "/cut"}, "cut"), context()).fit();
  expect_equal(last("whole"), last("cut"));
}

TEST_F(RunTest, LearnsTheColour) {
  const auto loss_after = [&](int64_t steps) {
    OneRun run(experiment({cat("trainer.max_steps=", steps), "system.optimizer.params.background.lr=0.05"}),
               context());
    return run.fit().last.at("train/loss_sds");
  };
  EXPECT_LT(loss_after(60), 0.3 * loss_after(1));
}

TEST_F(RunTest, ValidationAndTestPicturesHaveTheReferencesNames) {
  OneRun run(experiment({"trainer.val_check_interval=10"}), context());
  run.fit();
  run.test();
  for (const char* name : {"it10-0.png", "it10-1.png", "it20-1.png", "it20-test/0.png", "it20-test/2.png"})
    EXPECT_TRUE(fs::exists(folder_ + "/a/save/" + name)) << name;
  // rgb | normal | opacity
  EXPECT_EQ(io::read_image(folder_ + "/a/save/it20-0.png").width, 48);
}

TEST_F(RunTest, AValidationsViewsBecomeAFilmWhereTheKeySaysSo) {
  for (const bool joins : {false, true}) {
    const std::string name = joins ? "film" : "views";
    OneRun run(experiment({"system_type=scaledreamer-system",
                           cat("system.validation_via_video=", joins ? "true" : "false")},
                          name),
               context());
    run.validate();
    EXPECT_TRUE(fs::exists(run.save_folder() + "/it0-0.png")) << name;
    EXPECT_EQ(fs::exists(run.save_folder() + "/it0-val.mp4"), joins && io::has_video()) << name;
  }
}

TEST_F(RunTest, PicturesOfTheGuidanceComeWhenDueAndChangeNothing) {
  SystemContext showing = context();
  showing.make_guidance = [] { return std::make_unique<Showing>(); };
  OneRun(experiment({"system.freq.guidance_eval=10"}, "a"), showing).fit();
  OneRun(experiment({}, "b"), showing).fit();
  for (const int step : {0, 10}) {
    const auto grid = io::read_image(cat(folder_, "/a/save/it", step, "-train.png"));
    EXPECT_EQ(grid.width, 5 * 96);
    EXPECT_EQ(grid.height, 2 * 96);  // a row for each of the batch
  }
  EXPECT_FALSE(fs::exists(folder_ + "/a/save/it5-train.png"));
  EXPECT_FALSE(fs::exists(folder_ + "/b/save/it0-train.png"));
  expect_equal(last("a"), last("b"));

  EXPECT_THROW(OneRun(experiment({"system.freq.guidance_evals=1"}, "c"), showing), UserError);
  EXPECT_THROW(OneRun(experiment({"system.freq.guidance_eval=1"}, "d"), context()).fit(), UserError);
}

TEST_F(RunTest, AStepInPartsShowsTheGuidanceOnce) {
  int n_shown = 0;
  SystemContext showing = context();
  showing.make_guidance = [&] { return std::make_unique<Showing>(&n_shown); };
  OneRun(experiment({"system.freq.guidance_eval=10", "trainer.accumulate_grad_batches=3"}), showing).fit();
  EXPECT_EQ(n_shown, 2);  // steps 0 and 10 of 20
}

TEST_F(RunTest, MetricsHaveTheReferencesColumns) {
  OneRun(experiment({}), context()).fit();
  const std::string csv = read_whole_file(folder_ + "/a/csv_logs/version_0/metrics.csv");
  for (const char* column : {"train/loss_sds", "train/loss_sparsity", "train_params/lambda_orient"})
    EXPECT_THAT(csv, HasSubstr(column));
}

TEST_F(RunTest, AFewBadGradientsAreSkippedAndCounted) {
  OneRun run(experiment({}), context(5, 8));
  const auto report = run.fit();
  EXPECT_EQ(report.skipped, 3);
  EXPECT_EQ(report.steps, 20);
  for (const auto& [name, t] : last())
    if (t.is_floating_point()) EXPECT_TRUE(at::isfinite(t).all().item<bool>()) << name;
}

TEST_F(RunTest, ManyBadGradientsGoBackOnceAndThenEndWithAReport) {
  OneRun run(experiment({"trainer.max_steps=100", "checkpoint.every_n_train_steps=4"}), context(10, 1 << 20));
  try {
    run.fit();
    FAIL() << "nothing was thrown";
  } catch (const UserError& e) {
    EXPECT_THAT(e.what(), HasSubstr("geometry."));
    EXPECT_THAT(e.what(), HasSubstr("Lower the learning rate"));
  }
  const auto found = train::find_checkpoint(folder_ + "/a");
  EXPECT_GE(found.step, 8);  // the work until there is not lost
}

TEST_F(RunTest, CheckpointsOfAnotherConfigurationAreRefused) {
  OneRun(experiment({}), context()).fit();
  OneRun other(
      experiment({"resume=" + folder_ + "/a", "system.geometry.pos_encoding_config.n_levels=4"}, "b"),
      context());
  EXPECT_THROW(other.fit(), UserError);
}

/// Gradients of one step by parameter name.
std::map<std::string, at::Tensor> gradients_of(const Experiment& experiment, int64_t max_rays) {
  auto views = data::camera_data().make(experiment.data_type, experiment.data, "data", {0, c10::kCPU});
  auto system = systems().make(experiment.system_type, experiment.system, "system", context());
  system->open_guidance();
  system->update_step(0, true);
  system->training_step(views->train_batch(0), 20, 0.5, max_rays);
  std::map<std::string, at::Tensor> all;
  for (const auto& [name, p] : system->parameters())
    if (p.grad().defined()) all[name] = p.grad().clone();
  return all;
}

TEST_F(RunTest, StripsHaveTheGradientOfTheWholePicture) {
  // Without jitter, which strips draw in another order; every kind of term is on.
  const auto e = experiment({"system.renderer.randomized=false", "system.loss.lambda_orient=1.0",
                             "system.loss.lambda_z_variance=1.0", "system.material.ambient_only_steps=1000"});
  const auto whole = gradients_of(e, 0);
  for (const int64_t max_rays : {1, 48, 200}) {
    const auto strips = gradients_of(e, max_rays);
    ASSERT_EQ(strips.size(), whole.size());
    for (const auto& [name, g] : whole)
      EXPECT_LT((g - strips.at(name)).norm().item<double>(), 1e-4 * g.norm().item<double>() + 1e-9) << name;
  }
}

/// A recipe's words for a signed distance.
std::vector<std::string> signed_distance(std::vector<std::string> more) {
  for (const char* each : {"system.geometry_type=implicit-sdf", "system.geometry.sdf_bias=sphere",
                           "system.geometry.sdf_bias_params=0.5", "system.renderer_type=neus-volume-renderer",
                           "system.renderer.learned_variance_init=0.4", "system.loss.lambda_eikonal=1.0",
                           "system.optimizer.params.renderer.lr=0.001"})
    more.push_back(each);
  return more;
}

TEST_F(RunTest, ASignedDistanceHasTheSameGradientInStrips) {
  const auto e = experiment(
      signed_distance({"system.renderer.randomized=false", "system.loss.lambda_orient=1.0",
                       "system.renderer.num_samples_per_ray=96", "system.material.ambient_only_steps=1000"}));
  const auto whole = gradients_of(e, 0), strips = gradients_of(e, 48);
  ASSERT_EQ(strips.size(), whole.size());
  EXPECT_EQ(whole.count("renderer.variance._inv_std"), 1u);
  for (const auto& [name, g] : whole)
    EXPECT_LT((g - strips.at(name)).norm().item<double>(), 1e-4 * g.norm().item<double>() + 1e-9) << name;
}

TEST_F(RunTest, StripsShareTheLightThatIsDrawn) {
  // Seeds of several kinds of shading; a strip with one of its own would show in the loss.
  for (int seed = 0; seed < 6; ++seed) {
    auto e = experiment(
        {"system.renderer.randomized=false", "system.material.ambient_only_steps=0", cat("seed=", seed)});
    auto views = data::camera_data().make(e.data_type, e.data, "data", {0, c10::kCPU});
    const auto shades = [&](int64_t max_rays) {
      SystemContext build = context();
      build.seed = static_cast<uint64_t>(seed);
      auto system = systems().make(e.system_type, e.system, "system", build);
      system->open_guidance();
      system->update_step(0, true);
      return system->training_step(views->train_batch(0), 20, 1, max_rays).total.item<float>();
    };
    const float one = shades(48), other = shades(80);
    EXPECT_NEAR(one, other, 1e-5 * std::abs(one)) << seed;
  }
}

/// Every edge has two faces, turned the same way.
void expect_closed(const io::Mesh& mesh) {
  std::map<std::pair<uint32_t, uint32_t>, int> edges;
  for (const auto& f : mesh.faces)
    for (size_t i = 0; i < 3; ++i) ++edges[{f[i], f[(i + 1) % 3]}];
  for (const auto& [edge, count] : edges) {
    ASSERT_EQ(count, 1);
    ASSERT_EQ(edges.count({edge.second, edge.first}), 1u);
  }
}

TEST_F(RunTest, ASignedDistanceLearnsAndStaysAClosedSphere) {
  OneRun run(experiment(signed_distance({"trainer.max_steps=40", "system.loss.lambda_sparsity=0.0",
                                         "system.loss.lambda_opaque=0.0", "system.loss.lambda_eikonal=10.0",
                                         "system.loss.lambda_orient=0.0", "system.exporter.resolution=24",
                                         "system.exporter.texture_size=128"})),
             context());
  const auto report = run.fit();
  EXPECT_GT(report.last.at("train/inv_std"), 1);
  EXPECT_LT(report.last.at("train/loss_eikonal"), 0.05);
  const io::Mesh mesh = scene_mesh(run.system(), {48, 0.02});
  expect_closed(mesh);
  double mean = 0;
  for (const Vec3f& v : mesh.positions) mean += v.norm() / static_cast<double>(mesh.positions.size());
  EXPECT_NEAR(mean, 0.5, 0.15);
  for (const std::string& path : export_mesh(run.system(), folder_ + "/export").paths)
    EXPECT_TRUE(fs::exists(path)) << path;
  run.validate();
  EXPECT_EQ(io::read_image(folder_ + "/a/save/it40-0.png").width, 48);  // rgb, normal, opacity
  // What the checkpoint holds is what goes on.
  OneRun again(experiment(signed_distance({"resume=" + folder_ + "/a", "trainer.max_steps=40"}), "b"),
               context());
  again.restore_for_evaluation();
  EXPECT_EQ(again.system().parameters().at("renderer.variance._inv_std").item<float>(),
            run.system().parameters().at("renderer.variance._inv_std").item<float>());
}

TEST_F(RunTest, AShapeIsLearnedWhenTrainingStartsAfreshOnly) {
  const auto size_of = [](OneRun& run) {
    const c10::AutoGradMode off(false);
    return -run.system().geometry().distance()->distance_at(at::zeros({1, 3})).item<float>();
  };
  const std::vector<std::string> shape = signed_distance(
      {"system.geometry.shape_init=sphere", "system.geometry.shape_init_params=0.3", "trainer.max_steps=1"});
  OneRun first(experiment(shape, "a"), context());
  EXPECT_NEAR(size_of(first), 0.5, 0.02);
  first.fit();
  EXPECT_NEAR(size_of(first), 0.3, 0.1);
  auto more = shape;
  more.push_back("resume=" + folder_ + "/a");
  more.push_back("trainer.max_steps=2");
  more.push_back("system.geometry.shape_init_params=0.7");
  OneRun resumed(experiment(more, "b"), context());
  resumed.fit();
  EXPECT_NEAR(size_of(resumed), 0.3, 0.1);
}

TEST_F(RunTest, ShapesWithoutAnInsideSaySo) {
  for (const auto& [bias, message] :
       {std::pair{"1.0", "nowhere below"}, std::pair{"-1.0", "almost everywhere"}}) {
    OneRun run(experiment({"system.geometry_type=implicit-sdf", cat("system.geometry.sdf_bias=", bias),
                           "system.renderer_type=neus-volume-renderer"}),
               context());
    try {
      scene_mesh(run.system(), {32, 0.02});
      FAIL() << "nothing was thrown";
    } catch (const UserError& e) {
      EXPECT_THAT(e.what(), HasSubstr(message));
    }
  }
}

TEST_F(RunTest, APatchRendererTrainsAndIgnoresStrips) {
  const std::string recipe = with("nerf-volume-renderer\n  renderer: {num_samples_per_ray: 24}",
                                  "patch-renderer\n  renderer: {patch_size: 8, base_renderer_type: "
                                  "nerf-volume-renderer, base_renderer: {num_samples_per_ray: 24}}");
  OneRun run(experiment({"trainer.max_rays=100"}, "a", recipe), context());
  EXPECT_EQ(run.fit().steps, 20);
  run.validate();
}

TEST_F(RunTest, ASketchOfTheShapeKeepsTheDensityToIt) {
  fs::create_directories(folder_);
  testing::write_box_file(folder_ + "/box.obj", {-1, -1, -2}, {1, 1, 2});  // long along the scene's x
  const std::string latents = with("diffuse-with-point-light-material\n  material: {ambient_only_steps: 2}",
                                   "no-material\n  material: {n_output_dims: 4, color_activation: none}");
  SystemContext build = context();
  build.make_guidance = [] { return std::make_unique<FourChannels>(); };
  const auto overrides = [&](std::vector<std::string> more) {
    for (const std::string& each :
         {"system.guide_shape=" + folder_ + "/box.obj", std::string("system_type=latentnerf-system"),
          std::string("system.geometry.n_feature_dims=4"), std::string("system.background.n_output_dims=4"),
          std::string("system.background.color_activation=none"),
          std::string("system.loss.lambda_orient=0.0"), std::string("system.loss.lambda_sparsity=0.0"),
          std::string("system.loss.lambda_opaque=0.0")})
      more.push_back(each);
    return more;
  };
  EXPECT_THROW(OneRun(experiment(overrides({}), "x", latents), build).fit(), UserError);  // no lambda_shape
  OneRun run(experiment(overrides({"system.loss.lambda_shape=0.01", "trainer.max_steps=80"}), "a", latents),
             build);
  run.fit();
  const c10::AutoGradMode off(false);
  // Half axes 0.571 along x and 0.286 along y and z: one point inside of it, two outside, all as far out.
  const auto x = at::tensor({0.45f, 0.f, 0.f, 0.f, 0.6f, 0.f, 0.f, 0.f, 0.6f}).reshape({3, 3});
  const auto density = run.system().geometry().density()->density_at(x);
  EXPECT_GT(density[0].item<float>(), 3 * density[1].item<float>());
  EXPECT_GT(density[0].item<float>(), 3 * density[2].item<float>());
}

TEST_F(RunTest, AProposalLearnsBesideTheSceneAndResumesToTheBit) {
  const std::string recipe = with_proposal();
  OneRun whole(experiment({}, "whole", recipe), context());
  const auto report = whole.fit();
  EXPECT_EQ(report.last.count("train/loss_proposal"), 1u);
  FitHooks stop;
  stop.should_stop = [](int64_t done) { return done >= 9; };
  OneRun(experiment({}, "cut", recipe), context()).fit(stop);
  OneRun(experiment({"resume=" + folder_ + "/cut"}, "cut", recipe), context()).fit();
  expect_equal(last("whole"), last("cut"));
  EXPECT_EQ(last("whole").count("own_optimizer.renderer.prop_net.network.layers.0.weight.m"), 1u);
  // Its network moved, though no group of the scene's optimizer names it; and with strips it learns, too.
  const std::string name = "renderer.prop_net.network.layers.0.weight";
  OneRun fresh(experiment({"trainer.max_steps=0"}, "fresh", recipe), context());
  EXPECT_FALSE(fresh.system().parameters().at(name).equal(last("whole").at(name)));
  OneRun strips(experiment({"trainer.max_rays=64"}, "strips", recipe), context());
  EXPECT_EQ(strips.fit().last.count("train/loss_proposal"), 1u);
}

TEST_F(RunTest, TextMeshWantsASignedDistance) {
  EXPECT_THROW(OneRun(experiment({"system_type=textmesh-system"}), context()), UserError);
}

TEST_F(RunTest, MissingLossWeightsAreNamed) {
  const std::map<std::string, std::string> messages = {
      {"lambda_sdz", "unknown option system.loss.lambda_sdz; did you mean system.loss.lambda_sds?"},
      {"lambda_vsd", "system.loss has no lambda_sds"}};
  for (const auto& [instead, message] : messages) {
    try {
      OneRun(experiment({}, "a", with("lambda_sds", instead)), context()).fit();
      FAIL() << "nothing was thrown";
    } catch (const UserError& e) {
      EXPECT_THAT(e.what(), HasSubstr(message));
    }
  }
}

TEST_F(RunTest, UntrainedFieldsAlreadyHaveASurfaceAndEmptyOnesSaySo) {
  OneRun run(experiment({}), context());
  const io::Mesh mesh = scene_mesh(run.system(), {32, 0.02});
  EXPECT_GT(mesh.faces.size(), 100u);
  EXPECT_LT(mesh.bounds().max.maxCoeff(), 0.95f);  // a blob, not the box
  OneRun empty(experiment({"system.geometry.density_bias=-30.0"}, "b"), context());
  try {
    scene_mesh(empty.system(), {32, 0.02});
    FAIL() << "nothing was thrown";
  } catch (const UserError& e) {
    EXPECT_THAT(e.what(), HasSubstr("the field is empty"));
  }
}

TEST_F(RunTest, TheMeshExporterFollowsItsKeys) {
  const std::vector<std::string> small = {"system.exporter.resolution=24",
                                          "system.exporter.texture_size=128"};
  const auto exported = [&](std::vector<std::string> more, const std::string& name) {
    more.insert(more.end(), small.begin(), small.end());
    OneRun run(experiment(more, name), context());
    return export_mesh(run.system(), folder_ + "/" + name + "-export").paths;
  };
  const auto names = [&](const std::vector<std::string>& paths) {
    std::vector<std::string> out;
    for (const std::string& path : paths) {
      EXPECT_TRUE(fs::exists(path)) << path;
      out.push_back(fs::path(path).filename().string());
    }
    return out;
  };
  using ::testing::ElementsAre;
  EXPECT_THAT(names(exported({}, "a")), ElementsAre("model.glb", "model.obj", "model.mtl", "texture_kd.jpg"));
  EXPECT_THAT(names(exported({"system.exporter.fmt=obj", "system.exporter.save_name=x",
                              "system.geometry.isosurface_threshold=1000000.0"},
                             "b")),
              ElementsAre("x.glb", "x.obj"));
  EXPECT_THROW(exported({"system.exporter.texture_sise=5"}, "c"), UserError);
  EXPECT_THROW(exported({"system.geometry.isosurface=false"}, "d"), UserError);
}

TEST_F(RunTest, EverySystemTakesAStep) {
  for (const std::string& type : systems().names()) {
    const bool is_latent = type == "sjc-system" || type == "latentnerf-system";
    std::vector<std::string> overrides = {"system_type=" + type, "trainer.max_steps=2"};
    if (is_latent)
      for (const char* more : {"system.material.n_output_dims=4", "system.material.color_activation=none",
                               "system.geometry.n_feature_dims=4", "system.background.n_output_dims=4",
                               "system.background.color_activation=none", "system.loss.lambda_orient=0.0",
                               "system.loss.lambda_emptiness=1.0"})
        overrides.push_back(more);
    if (type == "textmesh-system")
      for (const char* more : {"system.geometry_type=implicit-sdf", "system.geometry.sdf_bias=sphere",
                               "system.geometry.sdf_bias_params=0.5", "system.loss.lambda_eikonal=1.0",
                               "system.renderer_type=neus-volume-renderer"})
        overrides.push_back(more);
    if (type == "fantasia3d-system")
      for (const char* more :
           {"system.renderer_type=nvdiff-rasterizer", "system.renderer=null", "system.renderer={}",
            "system.latent_steps=10", "system.geometry.isosurface_resolution=16",
            "system.geometry.isosurface_threshold=auto", "system.loss.lambda_normal_consistency=1"})
        overrides.push_back(more);
    SystemContext build = context();
    if (is_latent || type == "fantasia3d-system")
      build.make_guidance = [] { return std::make_unique<FourChannels>(); };
    OneRun run(
        experiment(overrides, type,
                   is_latent ? with("diffuse-with-point-light-material\n  material: {ambient_only_steps: 2}",
                                    "no-material\n  material: {}")
                             : kRecipe),
        build);
    EXPECT_EQ(run.fit().steps, 2) << type;
    run.validate();
    EXPECT_TRUE(fs::exists(folder_ + "/" + type + "/save/it2-0.png")) << type;
  }
}

/// As a surface that shrinks away does.
class FailsAfterThreeSteps : public testing::TowardsRed {
 public:
  FailsAfterThreeSteps() : TowardsRed(1 << 30, 1 << 30) {}
  guidance::GuidanceOutput operator()(const guidance::Views& views, const guidance::PromptEmbeddings& prompt,
                                      Rng& rng) override {
    if (++n_calls_ > 3) throw UserError("geometry: there is no surface.");
    return TowardsRed::operator()(views, prompt, rng);
  }

 private:
  int n_calls_ = 0;
};

TEST_F(RunTest, TheWorkBeforeAStepThatFailsIsSaved) {
  SystemContext build = context();
  build.make_guidance = [] { return std::make_unique<FailsAfterThreeSteps>(); };
  OneRun run(experiment({"trainer.max_steps=9", "checkpoint.every_n_seconds=0"}, "a"), build);
  EXPECT_EQ(
      testing::message_of<UserError>([&] { run.fit(); }),
      cat("step 3: geometry: there is no surface. The work up to there is saved in ", folder_, "/a/ckpts."));
  EXPECT_EQ(train::latest_intact(folder_ + "/a/ckpts")->step, 3);
}

TEST(Experiment, FoldersAreNamedAsInTheReference) {
  config::Node root = config::read_yaml(kRecipe, "recipe.yaml");
  config::apply_override(root, "name=df");
  config::apply_override(root, "tag=a_hamburger");
  config::apply_override(root, "use_timestamp=false");
  EXPECT_EQ(read_experiment(root).trial_dir, "outputs/df/a_hamburger");
  config::apply_override(root, "tag=/a/../../b");
  EXPECT_EQ(read_experiment(root).trial_dir, "outputs/df/a/__/__/b");
  config::apply_override(root, "tag=a_hamburger");
  config::apply_override(root, "use_timestamp=true");
  EXPECT_THAT(read_experiment(root).trial_dir,
              ::testing::MatchesRegex("outputs/df/a_hamburger@[0-9]+-[0-9]+"));
  config::apply_override(root, "timestamp='@20260101-000000'");
  EXPECT_EQ(read_experiment(root).trial_name, "a_hamburger@20260101-000000");
  config::apply_override(root, "tag=" + std::string(400, 'x'));
  for (const auto& part : fs::path(read_experiment(root).trial_dir)) EXPECT_LT(part.string().size(), 255u);
}

}  // namespace
}  // namespace t3d::system
