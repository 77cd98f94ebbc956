#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "t3d/api/model.h"
#include "t3d/t3d.h"
#include "tests/support/temporary_folder.h"

namespace t3d {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

/// The toybox recipe as small as it goes.
Recipe tiny(const std::string& folder) {
  Recipe recipe;
  recipe.prompt = "a red mushroom";
  recipe.folder = folder;
  recipe.device = "cpu";
  recipe.steps = 2;
  recipe.overrides = {"data.width=8", "data.height=8", "system.renderer.num_samples_per_ray=16",
                      "system.geometry.pos_encoding_config.log2_hashmap_size=8"};
  return recipe;
}

std::string problem_of(const Recipe& recipe) {
  try {
    const Fit fit(recipe);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(Fit, OptimizesShowsAndWritesTheMesh) {
  const testing::TemporaryFolder out;
  Fit fit(tiny(out / "run"));
  std::vector<int64_t> seen;
  std::map<std::string, double> metrics;
  FitCallbacks callbacks;
  callbacks.on_step = [&](const StepReport& step) {
    EXPECT_EQ(step.steps, 2);
    seen.push_back(step.step);
    if (!step.metrics.empty()) metrics = step.metrics;
  };
  const FitResult result = fit.run(callbacks);
  EXPECT_THAT(seen, ::testing::ElementsAre(1, 2));
  EXPECT_EQ(result.steps, 2);
  EXPECT_EQ(result.metrics, metrics);
  EXPECT_EQ(metrics.count("train/loss"), 1u);
  const RgbImage view = fit.view(0, 4, 12);
  EXPECT_EQ(view.pixels.size(), 12u * 12u * 3u);
  EXPECT_TRUE(fs::exists(out / "run/ckpts")) << "checkpoints lie in the recipe's folder";
  MeshOptions mesh;
  mesh.resolution = 32, mesh.texture_size = 64;
  for (const std::string& path : fit.export_mesh(out / "mesh", mesh))
    EXPECT_GT(fs::file_size(path), 0u) << path;
}

TEST(Fit, SaysWhatIsWrongWithARecipe) {
  const testing::TemporaryFolder out;
  Recipe nowhere = tiny("");
  EXPECT_THAT(problem_of(nowhere), HasSubstr("folder is empty"));
  Recipe unknown = tiny(out / "a");
  unknown.name = "toybx";
  EXPECT_THAT(problem_of(unknown), HasSubstr("no recipe named toybx; did you mean toybox?"));
  Recipe misspelt = tiny(out / "a");
  misspelt.overrides.push_back("system.geometri_type=implicit-volume");
  EXPECT_THAT(problem_of(misspelt), HasSubstr("did you mean system.geometry_type?"));
  Recipe device = tiny(out / "a");
  device.device = "gpu";
  EXPECT_THAT(problem_of(device), HasSubstr("expected auto, cpu or cuda"));
  EXPECT_FALSE(fs::exists(out / "a")) << "nothing is written for a recipe that is wrong";
}

TEST(Model, IsLoadedOnceForAllFitsThatAreGivenIt) {
  const Model model;
  const auto open = api::opener_of(model);
  guidance::ModelRequest small;
  small.name = model.path();
  small.with_vae = false;
  EXPECT_EQ(open(small), api::opener_of(Model(model))(small));
  EXPECT_NE(open(small), api::opener_of(Model())(small)) << "another Model loads its own";
  EXPECT_THROW(Model("no such model"), SystemError);
}

}  // namespace
}  // namespace t3d
