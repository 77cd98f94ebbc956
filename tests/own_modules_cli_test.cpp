// Types of a user's own in the program: --load and `plugins`, and what is wrong with shared objects.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/run_program.h"

namespace t3d {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::ProgramResult;
using testing::run_t3d;

const std::string kPlugins = T3D_TEST_PLUGINS;
const std::string kOwnRecipe = T3D_SOURCE_DIR "/examples/own_guidance/recipe.yaml";
const std::string kLoad = " --load " + kPlugins + "/own_guidance.so";
const std::string kTiny =
    " --device cpu trainer.max_steps=2 data.width=8 data.height=8 data.eval_width=8 data.eval_height=8 "
    "data.n_test_views=1 system.geometry.pos_encoding_config.log2_hashmap_size=8 "
    "system.renderer.num_samples_per_ray=16";

std::string odd(const std::string& file, const std::string& what = "") {
  const ProgramResult result =
      run_t3d("list background --load " + kPlugins + "/" + file, "T3D_TEST_TYPES=" + what);
  return "exit " + std::to_string(result.exit_code) + ": " + result.output;
}

TEST(OwnTypes, AreListedAndCheckedLikeBuiltInOnes) {
  EXPECT_THAT(run_t3d("list guidance").output, Not(HasSubstr("towards-colour")));
  EXPECT_THAT(run_t3d("list guidance" + kLoad).output,
              HasSubstr("towards-colour: pulls every image towards the prompt's colour [own_guidance.so]\n"
                        "  tolerance  differences below it count as none [float; 0 to 1; default: 0.02]"));
  EXPECT_THAT(run_t3d("list --markdown" + kLoad).output, HasSubstr("### `towards-colour`"));
  const auto good = run_t3d("check " + kOwnRecipe + kLoad);
  EXPECT_EQ(good.exit_code, 0) << good.output;
  const auto misspelt = run_t3d("check " + kOwnRecipe + " system.guidance.tolerence=0.1" + kLoad);
  EXPECT_EQ(misspelt.exit_code, 2);
  EXPECT_THAT(misspelt.output, HasSubstr("did you mean system.guidance.tolerance?"));
  const auto weightless = run_t3d("check " + kOwnRecipe + " system.loss={lambda_sds: 1}" + kLoad);
  EXPECT_EQ(weightless.exit_code, 2) << weightless.output;
}

TEST(OwnTypes, TrainAndGoOnByTheWrittenConfigurationAlone) {
  const testing::TemporaryFolder out;
  const std::string run = out / "run";
  const auto trained = run_t3d("train --config " + kOwnRecipe + kTiny + " trial_dir=" + run + kLoad);
  ASSERT_EQ(trained.exit_code, 0) << trained.output;
  const std::string parsed = run + "/configs/parsed.yaml";
  EXPECT_THAT(testing::read_text(parsed), HasSubstr("own_guidance.so"));
  const auto on = run_t3d("train --config " + parsed + " --device cpu trainer.max_steps=3 resume=" + run);
  EXPECT_EQ(on.exit_code, 0) << on.output;
  EXPECT_TRUE(fs::exists(run + "/save/it3-test/0.png"));
}

TEST(OwnTypes, AreFoundThroughTheConfigurationsPlugins) {
  const testing::TemporaryFolder out;
  const std::string file = out / "mine.yaml";
  testing::write_text(file, testing::read_text(kOwnRecipe) + "plugins: [" + kPlugins + "/own_guidance.so]\n");
  EXPECT_EQ(run_t3d("check " + file).exit_code, 0);
  const auto made = run_t3d(
      "generate 'a blue thing' --recipe " + file + " -o " + (out / "made") +
      " --steps 1 --frames 2 --frame-size 16 --mesh-resolution 32 --device cpu data.width=8 data.height=8 "
      "system.geometry.pos_encoding_config.log2_hashmap_size=8 system.renderer.num_samples_per_ray=16");
  EXPECT_EQ(made.exit_code, 0) << made.output;
  EXPECT_TRUE(fs::exists(out / "made/mesh.glb"));
}

TEST(OwnTypes, AGeometryOfOnesOwnTrainsAndIsExported) {
  const testing::TemporaryFolder out;
  const std::string recipe = out / "both.yaml";
  std::string text = testing::read_text(kOwnRecipe);
  const size_t begin = text.find("  geometry_type:"), end = text.find("  material_type:");
  text.replace(begin, end - begin, "  geometry_type: soft-balls\n  geometry: {n_balls: 8}\n");
  testing::write_text(recipe, text);
  const std::string run = out / "run", plugins = kLoad + " --load " + kPlugins + "/own_geometry.so";
  const auto trained =
      run_t3d("train --config " + recipe + " trial_dir=" + run + plugins +
              " --device cpu trainer.max_steps=2 data.width=8 data.height=8 data.eval_width=8 "
              "data.eval_height=8 data.n_test_views=1 system.renderer.num_samples_per_ray=16");
  ASSERT_EQ(trained.exit_code, 0) << trained.output;
  const auto exported = run_t3d("export --config " + run + "/configs/parsed.yaml --device cpu resume=" + run +
                                " system.exporter.resolution=32 system.exporter.texture_size=32");
  EXPECT_EQ(exported.exit_code, 0) << exported.output;
}

TEST(OwnTypes, WithoutTheirFileTheErrorSuggestsLoad) {
  for (const char* command : {"train --config ", "check "}) {
    const auto result = run_t3d(command + kOwnRecipe);
    EXPECT_EQ(result.exit_code, 2) << command;
    EXPECT_THAT(result.output, HasSubstr("a type of your own needs --load FILE.so")) << command;
  }
  EXPECT_THAT(run_t3d("list towards-colour").output, HasSubstr("a type of your own needs --load FILE.so"));
}

TEST(SharedObjects, ThatAreNoneAreNamedInOneSentence) {
  EXPECT_THAT(odd("gone.so"), AllOf(HasSubstr("exit 3"), HasSubstr("gone.so: no such file")));
  EXPECT_THAT(run_t3d("list --load " + kOwnRecipe).output, HasSubstr("recipe.yaml: is no shared object"));
  EXPECT_THAT(odd("no_types.so"), AllOf(HasSubstr("exit 2"), HasSubstr("registers no types for t3d")));
}

TEST(SharedObjects, OfAnotherVersionAreRefusedBeforeTheirCodeRuns) {
  EXPECT_THAT(odd("other_api.so"),
              AllOf(HasSubstr("exit 2"),
                    HasSubstr("was built for version 99 of t3d's C++ interface, and this t3d has "
                              "version 1. Build it again with this t3d.")));
  EXPECT_THAT(odd("other_torch.so"),
              AllOf(HasSubstr("exit 2"), HasSubstr("was built with LibTorch 0.4.1, and this")));
  EXPECT_THAT(odd("unlinkable.so"),
              AllOf(HasSubstr("exit 2"),
                    HasSubstr("cannot be loaded (undefined symbol: function_of_an_earlier_t3d)")));
}

TEST(SharedObjects, ThatRegisterBadlyOrThrowAreRefused) {
  EXPECT_THAT(odd("odd_types.so"),
              AllOf(HasSubstr("exit 0"), HasSubstr("grey: one grey everywhere [odd_types.so]")));
  EXPECT_THAT(
      odd("odd_types.so", "twice"),
      AllOf(HasSubstr("exit 2"), HasSubstr("registers the background grey, which is there already from ")));
  EXPECT_THAT(
      odd("odd_types.so", "taken"),
      AllOf(HasSubstr("exit 2"),
            HasSubstr("registers the background solid-color-background, which is there already. Give it")));
  EXPECT_THAT(odd("odd_types.so", "spaced"),
              AllOf(HasSubstr("exit 2"), HasSubstr("named \"dark grey\"; expected")));
  EXPECT_THAT(odd("odd_types.so", "none"),
              AllOf(HasSubstr("exit 2"), HasSubstr("registers no types. Add one")));
  EXPECT_THAT(odd("odd_types.so", "throw"),
              AllOf(HasSubstr("exit 2"), HasSubstr("threw while it was loading (no licence). Mend")));
  EXPECT_THAT(odd("odd_types.so", "throw-at-start"),
              AllOf(HasSubstr("exit 2"),
                    HasSubstr("threw while it was loading (no licence), in an object that is made "
                              "at its start.")));
  EXPECT_THAT(odd("odd_types.so", "throw-number"),
              AllOf(HasSubstr("exit 2"), HasSubstr("something that is no std::exception")));
}

}  // namespace
}  // namespace t3d
