#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/gltf_builder.h"
#include "tests/support/optional_libraries.h"
#include "tests/support/run_program.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tetrahedron.h"

namespace t3d {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::kTetrahedron;
using testing::read_text;
using testing::run_t3d;
using testing::TemporaryFolder;
using testing::write_text;

constexpr const char* kSmall = " --res 16 --samples 2 --train-views 2 --val-views 1 --test-views 1 ";

TEST(RenderCommand, WritesAllThreeSplitsInOneGo) {
  T3D_NEED_EMBREE();
  const TemporaryFolder folder;
  write_text(folder / "a.obj", kTetrahedron);
  const auto result = run_t3d("render " + folder / "a.obj" + " -o " + folder / "out" + kSmall +
                              "--depth --normal --mask --cameras mvdream");
  ASSERT_EQ(result.exit_code, 0) << result.output;
  const auto set = nlohmann::json::parse(read_text(folder / "out/transforms_train.json"));
  ASSERT_EQ(set.at("frames").size(), 2u);
  EXPECT_EQ(set.at("frames")[1].at("file_path"), "./train/r_1");
  EXPECT_EQ(set.at("w"), 16);
  EXPECT_NEAR(set.at("camera_angle_x").get<double>(), 0.857556, 1e-5);
  for (const char* file :
       {"out/train/r_1.png", "out/train/r_1_depth.png", "out/train/r_1_normal.png", "out/train/r_1_mask.png",
        "out/val/r_0.png", "out/test/r_0.png", "out/render.json"})
    EXPECT_TRUE(fs::exists(folder / file)) << file;
}

TEST(RenderCommand, ASplitWithoutViewsIsNotWritten) {
  T3D_NEED_EMBREE();
  const TemporaryFolder folder;
  write_text(folder / "a.obj", kTetrahedron);
  const auto result = run_t3d("render " + folder / "a.obj" + " -o " + folder / "out" +
                              " --res 16 --samples 2 --train-views 2 --val-views 0 --test-views 0");
  ASSERT_EQ(result.exit_code, 0) << result.output;
  EXPECT_TRUE(fs::exists(folder / "out/transforms_train.json"));
  EXPECT_FALSE(fs::exists(folder / "out/transforms_val.json"));
  EXPECT_FALSE(fs::exists(folder / "out/test"));
}

TEST(RenderCommand, ASetOfEmptyImagesIsAnErrorThatNamesTheMaterial) {
  T3D_NEED_EMBREE();
  const TemporaryFolder folder;
  testing::GltfBuilder file;
  file.material() = nlohmann::json::parse(
      R"({"name": "window", "alphaMode": "BLEND", "pbrMetallicRoughness": {"baseColorFactor": [1, 1, 1, 0]}})");
  write_text(folder / "a.glb", file.glb());
  const std::string command = "render " + folder / "a.glb" + " -o " + folder / "out" + kSmall;
  const auto result = run_t3d(command);
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.output, HasSubstr("all 4 images are empty"));
  EXPECT_THAT(result.output, HasSubstr("window"));
  EXPECT_FALSE(fs::exists(folder / "out/render.json"));
  EXPECT_EQ(run_t3d(command + "--resume").exit_code, 2);  // what is there is looked at, too

  file.material()["alphaMode"] = "OPAQUE";
  write_text(folder / "a.glb", file.glb());
  const auto opaque = run_t3d(command + "--overwrite");
  EXPECT_EQ(opaque.exit_code, 0) << opaque.output;
}

TEST(RenderCommand, ResumingMakesAgainWhatIsMissingOrCutOff) {
  T3D_NEED_EMBREE();
  const TemporaryFolder folder;
  write_text(folder / "a.obj", kTetrahedron);
  const std::string command =
      "render " + folder / "a.obj" + " -o " + folder / "out" + kSmall + "--depth --mask ";
  ASSERT_EQ(run_t3d(command).exit_code, 0);
  const std::string depth = read_text(folder / "out/train/r_1_depth.png");
  const std::string mask = read_text(folder / "out/train/r_0_mask.png");
  fs::rename(folder / "out/render.json", folder / "out/render.partial.json");
  fs::remove(folder / "out/train/r_1_depth.png");
  write_text(folder / "out/train/r_0_mask.png", mask.substr(0, mask.size() / 2));
  const auto result = run_t3d(command + "--resume");
  ASSERT_EQ(result.exit_code, 0) << result.output;
  EXPECT_EQ(read_text(folder / "out/train/r_1_depth.png"), depth);
  EXPECT_EQ(read_text(folder / "out/train/r_0_mask.png"), mask);
}

TEST(RenderCommand, RefusesAnExistingFolderAndResumesToTheSamePictures) {
  T3D_NEED_EMBREE();
  const TemporaryFolder folder;
  write_text(folder / "a.obj", kTetrahedron);
  const std::string command = "render " + folder / "a.obj" + " -o " + folder / "out" + kSmall;
  ASSERT_EQ(run_t3d(command).exit_code, 0);
  const std::string first = read_text(folder / "out/train/r_1.png");
  const auto refused = run_t3d(command);
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.output, HasSubstr("Pass --resume or --overwrite"));

  // As after an interruption: no completion mark, one picture missing, one cut short.
  fs::rename(folder / "out/render.json", folder / "out/render.partial.json");
  fs::remove(folder / "out/train/r_1.png");
  write_text(folder / "out/val/r_0.png", "cut");
  const auto other = run_t3d(command + "--resume --seed 7");
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.output, HasSubstr("was made with seed 0, and what was asked for has 7"));
  const auto resumed = run_t3d(command + "--resume");
  ASSERT_EQ(resumed.exit_code, 0) << resumed.output;
  EXPECT_EQ(read_text(folder / "out/train/r_1.png"), first);
  EXPECT_GT(read_text(folder / "out/val/r_0.png").size(), 50u);
}

TEST(RenderCommand, DoesShapeNetTreesAndSkipsWhatIsThere) {
  T3D_NEED_EMBREE();
  const TemporaryFolder folder;
  fs::create_directories(folder / "in/0295/aa");
  fs::create_directories(folder / "in/0295/bb/models");
  write_text(folder / "in/0295/aa/model.obj", kTetrahedron);
  write_text(folder / "in/0295/bb/models/model_normalized.obj", kTetrahedron);
  const std::string command =
      "render " + folder / "in" + " -o " + folder / "out" + kSmall + "--cameras shapenet --jobs 2";
  const auto result = run_t3d(command);
  ASSERT_EQ(result.exit_code, 0) << result.output;
  EXPECT_TRUE(fs::exists(folder / "out/0295/aa/render.json"));
  EXPECT_TRUE(fs::exists(folder / "out/0295/bb/render.json"));
  EXPECT_THAT(run_t3d(command).output, HasSubstr("2 of 2 sets are there already"));

  // One bad mesh of many is reported; the others are made.
  fs::create_directories(folder / "in/0295/cc");
  write_text(folder / "in/0295/cc/model.obj", "v 0 0 0\nf 1 2 3\n");
  fs::create_directories(folder / "in/0295/dd");
  write_text(folder / "in/0295/dd/model.obj", kTetrahedron);
  const auto partly = run_t3d(command);
  EXPECT_EQ(partly.exit_code, 2) << partly.output;
  EXPECT_THAT(partly.output, HasSubstr("cc/model.obj:2:5: face refers to vertex 2 but the file has 1"));
  EXPECT_TRUE(fs::exists(folder / "out/0295/dd/render.json"));
  EXPECT_FALSE(fs::exists(folder / "out/0295/cc"));
}

TEST(RenderCommand, ABadMeshLeavesTheEarlierSetAlone) {
  T3D_NEED_EMBREE();
  const TemporaryFolder folder;
  write_text(folder / "a.obj", kTetrahedron);
  const std::string command = "render " + folder / "a.obj" + " -o " + folder / "out" + kSmall + "--overwrite";
  ASSERT_EQ(run_t3d(command).exit_code, 0);
  write_text(folder / "a.obj", "v 0 0 0\nf 1 2 3\n");
  EXPECT_EQ(run_t3d(command).exit_code, 2);
  EXPECT_TRUE(fs::exists(folder / "out/render.json"));
  fs::remove(folder / "a.obj");
  EXPECT_EQ(run_t3d(command).exit_code, 3);
  EXPECT_TRUE(fs::exists(folder / "out/train/r_0.png"));
}

TEST(RenderCommand, NothingToRenderIsNoSuccess) {
  const TemporaryFolder folder;
  write_text(folder / "a.obj", kTetrahedron);
  const auto result = run_t3d("render " + folder / "a.obj" + " -o " + folder / "out" +
                              " --train-views 0 --val-views 0 --test-views 0");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.output, HasSubstr("there is nothing to render"));
  EXPECT_FALSE(fs::exists(folder / "out"));
}

TEST(RenderCommand, UnknownNamesAreExplained) {
  const auto cameras = run_t3d("render a.obj -o out --cameras shapenets");
  EXPECT_EQ(cameras.exit_code, 2);
  EXPECT_THAT(cameras.output, HasSubstr("did you mean shapenet?"));
  const auto option = run_t3d("render a.obj -o out --sample 3");
  EXPECT_EQ(option.exit_code, 2);
  EXPECT_THAT(option.output, HasSubstr("did you mean --samples?"));
}

}  // namespace
}  // namespace t3d
