#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "t3d/core/text.h"
#include "t3d/train/checkpoint.h"
#include "tests/support/run_program.h"
#include "tests/support/stopped_runs.h"

/// Chains of stages: all of them are checked before the first, and one that was killed between stages or in
/// one ends with the bits of a chain that nothing stopped.
namespace t3d {
namespace {

namespace fs = std::filesystem;
using testing::expect_same_checkpoint;
using ::testing::HasSubstr;
using testing::run_t3d;
using testing::run_until;
using testing::TemporaryFolder;

constexpr int kSteps = 4;

std::string chain(const std::string& out, const std::string& more = "") {
  return cat("chain toybox 'a red cube' -o '", out, "' --device cpu --steps ", kSteps,
             " coarse:data.width=16 coarse:data.height=16 refine:data.width=16 refine:data.height=16"
             " coarse:system.renderer.num_samples_per_ray=24 refine:system.geometry.isosurface_resolution=16"
             " checkpoint.every_n_train_steps=1 system.exporter.texture_size=64 system.exporter.fmt=glb ",
             more);
}

std::string last(const std::string& out, const char* stage) {
  return cat(out, "/", stage, "/ckpts/step_0000000", kSteps);
}

TEST(Chain, ListsItsStagesAndSuggestsNames) {
  const auto list = run_t3d("chain");
  EXPECT_EQ(list.exit_code, 0);
  EXPECT_THAT(list.output, HasSubstr("prolificdreamer-geometry.yaml"));
  EXPECT_THAT(run_t3d("chain prolificdreamr 'a cube'").output, HasSubstr("did you mean prolificdreamer"));
  EXPECT_THAT(run_t3d("chain toybox ' '").output, HasSubstr("the prompt is empty"));
  EXPECT_THAT(run_t3d("generate 'a red cube' --recipe sjc --refine --model toybox").output,
              HasSubstr("no stages come after the recipe sjc"));
}

TEST(Chain, FindsWhatIsWrongWithItsLastStageBeforeTheFirst) {
  const TemporaryFolder folder;
  const std::string out = folder / "run";
  const auto misspelt = run_t3d(chain(out, "refine:system.geometry.isosurface_resolutoin=8"));
  EXPECT_EQ(misspelt.exit_code, 2);
  EXPECT_THAT(misspelt.output, HasSubstr("isosurface_resolution"));
  const auto stage = run_t3d(chain(out, "refined:seed=1"));
  EXPECT_EQ(stage.exit_code, 2);
  EXPECT_THAT(stage.output, HasSubstr("the chain toybox has no stage refined; did you mean refine?"));
  EXPECT_FALSE(fs::exists(out));
  // Nor does --overwrite take away what is there.
  fs::create_directories(folder / "used/1-coarse");
  testing::write_text(folder / "used/1-coarse/notes", "mine");
  EXPECT_EQ(
      run_t3d(chain(folder / "used", "refine:system.geometry.isosurface_resolutoin=8 --overwrite")).exit_code,
      2);
  EXPECT_TRUE(fs::exists(folder / "used/1-coarse/notes"));
}

TEST(Chain, KilledInEachStageEqualsAChainThatWasNeverStopped) {
  const TemporaryFolder folder;
  const std::string whole = folder / "whole", killed = folder / "killed";
  const auto made = run_t3d(chain(whole));
  ASSERT_EQ(made.exit_code, 0) << made.output;
  for (const char* file : {"model.glb", "preview.png"})
    EXPECT_TRUE(fs::exists(fs::path(whole) / file)) << file;

  const auto has = [](const std::string& path) { return [path](pid_t) { return fs::exists(path); }; };
  ASSERT_EQ(run_until(chain(killed), has(killed + "/1-coarse/ckpts/step_00000002"), SIGKILL), 1000 + SIGKILL);
  ASSERT_EQ(run_until(chain(killed, "--resume"), has(killed + "/2-refine/ckpts/step_00000001"), SIGKILL),
            1000 + SIGKILL);
  const auto finished = run_t3d(chain(killed, "--resume"));
  ASSERT_EQ(finished.exit_code, 0) << finished.output;
  for (const char* stage : {"1-coarse", "2-refine"})
    expect_same_checkpoint(last(whole, stage), last(killed, stage));

  const auto other = run_t3d(chain(killed, "--resume --seed 3"));
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.output, HasSubstr("seed"));
}

}  // namespace
}  // namespace t3d
