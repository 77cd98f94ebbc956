#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "t3d/io/read_mesh.h"
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

/// A posed set that trains in a second, rendered once for all tests.
class ReconstructCommand : public ::testing::Test {
 protected:
  void SetUp() override { T3D_NEED_EMBREE(); }
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    if (!testing::kHasEmbree) return;
    write_text(*folder_ / "a.obj", kTetrahedron);
    const auto made = run_t3d("render " + *folder_ / "a.obj" + " -o " + set() +
                              " --res 32 --samples 2 --train-views 8 --val-views 1 --test-views 2");
    ASSERT_EQ(made.exit_code, 0) << made.output;
  }
  static void TearDownTestSuite() { delete folder_; }

  static std::string set() { return *folder_ / "set"; }

  static constexpr const char* kShort =
      " --device cpu --steps 60 --levels 4 --log2-table 10 --target-samples 2048 --mesh-resolution 32 ";

  static TemporaryFolder* folder_;
};

TemporaryFolder* ReconstructCommand::folder_ = nullptr;

double psnr_of(const std::string& run) {
  return nlohmann::json::parse(read_text(run + "/report.json")).at("test").at("psnr").get<double>();
}

TEST_F(ReconstructCommand, LeavesEverythingThatItPromises) {
  const TemporaryFolder out;
  const std::string run = out / "run";
  const auto result = run_t3d("reconstruct " + set() + " -o " + run + kShort + "--video-frames 2");
  ASSERT_EQ(result.exit_code, 0) << result.output;
  const auto report = nlohmann::json::parse(read_text(run + "/report.json"));
  EXPECT_GT(report.at("test").at("psnr").get<double>(), 5);
  EXPECT_LE(report.at("test").at("ssim").get<double>(), 1);
  EXPECT_EQ(report.at("test").at("views").size(), 2u);
  EXPECT_EQ(report.at("steps"), 60);
  EXPECT_GT(report.at("memory").at("peak_mib").get<double>(), 1);
  EXPECT_GE(report.at("seconds").at("total").get<double>(), report.at("seconds").at("train").get<double>());
  std::vector<std::string> files{"report.md", "test/000.png", "test/001_depth.png", "mesh.glb",
                                 "mesh.obj",  "mesh.ply",     "configs/parsed.yaml"};
  if (testing::kHasFfmpeg) files.insert(files.end(), {"turntable.mp4", "turntable.gif"});
  for (const auto& file : files) EXPECT_GT(fs::file_size(run + "/" + file), 0u) << file;
}

TEST_F(ReconstructCommand, TakesTheExportersKeys) {
  const TemporaryFolder out;
  const std::string run = "reconstruct " + set() + " -o " + out / "run" + kShort + "--no-video ";
  const auto wrong = run_t3d(run + "exporter.texture_sise=64");
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.output, HasSubstr("did you mean exporter.texture_size?"));
  EXPECT_FALSE(fs::exists(out / "run")) << "nothing is written for a key that is wrong";
  const auto result = run_t3d(run + "exporter.fmt=glb exporter.texture_size=64");
  ASSERT_EQ(result.exit_code, 0) << result.output;
  EXPECT_EQ(io::read_mesh(out / "run/mesh.glb").textures.at(0).width, 64);
  EXPECT_FALSE(fs::exists(out / "run/mesh.obj"));
  EXPECT_FALSE(fs::exists(out / "run/mesh.ply"));
}

TEST_F(ReconstructCommand, RepeatsARunFromItsParsedConfiguration) {
  const TemporaryFolder out;
  const auto first =
      run_t3d("reconstruct " + set() + " -o " + out / "a" + kShort + "--seed 3 --no-video --no-mesh");
  ASSERT_EQ(first.exit_code, 0) << first.output;
  const auto again = run_t3d("reconstruct --config " + out / "a/configs/parsed.yaml" + " -o " + out / "b");
  ASSERT_EQ(again.exit_code, 0) << again.output;
  EXPECT_EQ(psnr_of(out / "a"), psnr_of(out / "b"));
  EXPECT_EQ(read_text(out / "b/configs/raw.yaml"), read_text(out / "a/configs/parsed.yaml"));
  EXPECT_FALSE(fs::exists(out / "b/mesh.glb"));
}

TEST_F(ReconstructCommand, OptionsWinOverOverridesAndThoseOverTheFile) {
  const TemporaryFolder out;
  write_text(out / "c.yaml", "data: " + set() +
                                 "\ndevice: cpu\nsteps: 5\nlevels: 4\nlog2_table: 9\n"
                                 "target_samples: 1024\nmesh: no\nvideo: no\n");
  const auto result =
      run_t3d("reconstruct --config " + out / "c.yaml" + " -o " + out / "a" + " steps=6 levels=3 --levels 2");
  ASSERT_EQ(result.exit_code, 0) << result.output;
  const std::string parsed = read_text(out / "a/configs/parsed.yaml");
  EXPECT_THAT(parsed, HasSubstr("steps: 6\n"));
  EXPECT_THAT(parsed, HasSubstr("levels: 2\n"));
  EXPECT_THAT(parsed, HasSubstr("log2_table: 9\n"));
}

TEST_F(ReconstructCommand, AResumedRunKeepsItsConfigurationAndRefusesAnother) {
  const TemporaryFolder out;
  const std::string run = out / "a";
  ASSERT_EQ(run_t3d("reconstruct " + set() + " -o " + run + kShort + "--no-video --no-mesh").exit_code, 0);
  const std::string before = read_text(run + "/report.json");
  const auto refused = run_t3d("reconstruct -o " + run + " --resume --seed 5");
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.output, HasSubstr("this run has seed 0, but --resume came with 5"));
  EXPECT_EQ(read_text(run + "/report.json"), before);
  const auto on = run_t3d("reconstruct -o " + run + " --resume --steps 70");
  ASSERT_EQ(on.exit_code, 0) << on.output;
  EXPECT_EQ(nlohmann::json::parse(read_text(run + "/report.json")).at("steps"), 70);
}

TEST_F(ReconstructCommand, PrecisionFollowsTheProcessorUnlessItIsGiven) {
  const TemporaryFolder out;
  const std::string run = "reconstruct " + set() + kShort + "--no-video --no-mesh -o ";
  setenv("T3D_SIMD", "avx2", 1);
  const auto refused = run_t3d(run + out / "a" + " --precision bfloat16");
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.output, HasSubstr("this processor cannot multiply bfloat16"));
  EXPECT_FALSE(fs::exists(out / "a"));
  const auto chosen = run_t3d(run + out / "a");
  unsetenv("T3D_SIMD");
  ASSERT_EQ(chosen.exit_code, 0) << chosen.output;
  EXPECT_EQ(nlohmann::json::parse(read_text(out / "a/report.json")).at("precision"), "float32");

  const auto best = run_t3d(run + out / "b");
  ASSERT_EQ(best.exit_code, 0) << best.output;
  EXPECT_THAT(nlohmann::json::parse(read_text(out / "b/report.json")).at("precision").get<std::string>(),
              ::testing::AnyOf("bfloat16", "float32"));
}

TEST_F(ReconstructCommand, SaysByItsExitCodeThatThereIsNoMesh) {
  const TemporaryFolder out;
  const auto result =
      run_t3d("reconstruct " + set() + " -o " + out / "a" +
              " --device cpu --steps 12 --levels 4 --log2-table 10 --target-samples 2048 --no-video "
              "--mesh-resolution 32");
  // So short a run leaves no surface; should another processor's rounding leave one, then exit 0 is right.
  EXPECT_EQ(result.exit_code, fs::exists(out / "a/mesh.glb") ? 0 : 1) << result.output;
  EXPECT_TRUE(fs::exists(out / "a/report.json"));
}

TEST_F(ReconstructCommand, BadInputGetsOneSentenceAndLeavesNoFolder) {
  const TemporaryFolder out;
  fs::copy(set(), out / "cut", fs::copy_options::recursive);
  const std::string json = read_text(set() + "/transforms_train.json");
  write_text(out / "cut/transforms_train.json", json.substr(0, json.size() / 2));
  fs::copy(set(), out / "empty", fs::copy_options::recursive);
  auto frames = nlohmann::json::parse(json);
  frames["frames"] = nlohmann::json::array();
  write_text(out / "empty/transforms_train.json", frames.dump());
  fs::copy(set(), out / "singular", fs::copy_options::recursive);
  auto singular = nlohmann::json::parse(json);
  for (auto& row : singular["frames"][0]["transform_matrix"]) row[0] = 0;
  write_text(out / "singular/transforms_train.json", singular.dump());
  write_text(out / "bad.yaml", "data: x\nlevel: 3\n");

  const std::string to = " -o " + out / "run";
  for (const auto& [arguments, expected] : std::vector<std::pair<std::string, std::string>>{
           {out / "cut" + to, "transforms_train.json:"},
           {out / "empty" + to, "transforms_train.json"},
           {out / "singular" + to, "transforms_train.json"},
           {out / "nowhere" + to, "nowhere"},
           {set() + to + " --levels 99", "--levels is 99, expected 1 to 32"},
           {set() + to + " --level 3", "did you mean --levels?"},
           {"--config " + out / "bad.yaml" + to, "bad.yaml:2:8: unknown option level; did you mean levels?"},
           {set() + to + " steps=many", "steps is many, expected an int"},
           {set() + to + " --resume", "nothing to resume"}}) {
    const auto result = run_t3d("reconstruct " + arguments);
    EXPECT_TRUE(result.exit_code == 2 || result.exit_code == 3) << arguments << "\n" << result.output;
    EXPECT_THAT(result.output, HasSubstr(expected)) << arguments;
    EXPECT_THAT(result.output, HasSubstr("[error] "));
    EXPECT_FALSE(fs::exists(out / "run")) << arguments;
  }
}

/// A copy of a data set's file whose list of frames is shortened to `n`.
void write_frames(const std::string& from, const std::string& to, size_t n) {
  auto set = nlohmann::json::parse(read_text(from));
  auto& frames = set["frames"];
  frames.erase(frames.begin() + static_cast<std::ptrdiff_t>(n), frames.end());
  write_text(to, set.dump());
}

TEST_F(ReconstructCommand, SplitsWithoutImagesGetOneSentenceAndNothingIsWritten) {
  const TemporaryFolder out;
  const std::string train = set() + "/transforms_train.json", test = set() + "/transforms_test.json";
  for (const char* name : {"no_train", "no_test", "whole", "one"})
    fs::copy(set(), out / name, fs::copy_options::recursive);
  write_frames(train, out / "no_train/transforms_train.json", 0);
  write_frames(test, out / "no_test/transforms_test.json", 0);
  // Photographs without splits of their own.
  for (const char* name : {"whole", "one"})
    for (const char* split : {"train", "val", "test"})
      fs::remove(out / name + "/transforms_" + split + ".json");
  fs::copy(train, out / "whole/transforms.json");
  write_frames(train, out / "one/transforms.json", 1);

  const std::string held_out = "no image is left for training, 8 for testing. Use holdout 2 or more, or 0";
  for (const auto& [arguments, expected] : std::vector<std::pair<std::string, std::string>>{
           {"no_train",
            "no_train/transforms_train.json: frames is empty. List the images for training there"},
           {"no_test", "no_test/transforms_test.json: frames is empty. Remove the file to test on a part of"},
           {"no_train/transforms_train.json", "no_train/transforms_train.json: frames is empty."},
           {"whole --holdout 1", "whole: " + held_out},
           {"one", "one: no image is left for training, 1 for testing. Add images, or use holdout 0"},
           {"one --holdout 99", "Add images, or use holdout 0 to train on this one."},
           {"whole --holdout 0 --target-psnr 20", "--target-psnr measures on views that are not trained on"},
           {"whole --holdout 0 --eval-every 5", "--eval-every measures on views that are not trained on"}}) {
    const auto result = run_t3d("reconstruct " + out / arguments + " -o " + out / "run" + kShort);
    EXPECT_EQ(result.exit_code, 2) << arguments << "\n" << result.output;
    EXPECT_THAT(result.output, HasSubstr(expected)) << arguments;
    EXPECT_EQ(std::count(result.output.begin(), result.output.end(), '\n'), 1) << result.output;
    EXPECT_FALSE(fs::exists(out / "run")) << arguments;
  }
}

TEST_F(ReconstructCommand, WithoutTestImagesTheReportHasNoScore) {
  const TemporaryFolder out;
  fs::copy(set(), out / "all", fs::copy_options::recursive);
  for (const char* split : {"val", "test"}) fs::remove(out / "all/transforms_" + split + ".json");
  const auto result = run_t3d("reconstruct " + out / "all" + " --holdout 0 -o " + out / "run" + kShort +
                              "--no-video --no-mesh");
  ASSERT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("8 images for training, 0 for validation, 0 for testing"));
  EXPECT_THAT(result.output, ::testing::Not(HasSubstr("PSNR")));
  const auto report = nlohmann::json::parse(read_text(out / "run/report.json"));
  EXPECT_TRUE(report.at("test").at("psnr").is_null());
  EXPECT_THAT(read_text(out / "run/report.md"), ::testing::Not(HasSubstr("nan")));
}

TEST_F(ReconstructCommand, ShippedConfigurationsRun) {
  const TemporaryFolder out;
  for (const std::string name : {"ngp-synthetic", "ngp-photographs"}) {
    const std::string config =
        "reconstruct --config " T3D_SOURCE_DIR "/configs/" + name + ".yaml -o " + out / name;
    const auto missing = run_t3d(config);
    EXPECT_EQ(missing.exit_code, 2);
    EXPECT_THAT(missing.output, HasSubstr("data is mandatory"));
    const auto result = run_t3d(config + " data=" + set() + kShort + "--no-video --no-mesh");
    EXPECT_EQ(result.exit_code, 0) << name << "\n" << result.output;
  }
}

TEST_F(ReconstructCommand, ATimeBudgetIsRefusedBeforeAnythingIsWrittenOrSpentInParts) {
  const TemporaryFolder out;
  const std::string run = "reconstruct " + set() + " --device cpu --levels 4 --log2-table 10 -o ";
  const auto refused = run_t3d(run + out / "a" + " --time-budget 1");
  EXPECT_EQ(refused.exit_code, 2) << refused.output;
  EXPECT_THAT(refused.output, HasSubstr("--time-budget 1 is too short"));
  EXPECT_THAT(refused.output, HasSubstr("Use --time-budget "));
  EXPECT_FALSE(fs::exists(out / "a"));

  const auto kept = run_t3d(run + out / "b" + " --time-budget 8 --no-mesh --no-video --target-samples 2048");
  ASSERT_EQ(kept.exit_code, 0) << kept.output;
  EXPECT_THAT(kept.output, HasSubstr("seconds: loading "));
  const auto report = nlohmann::json::parse(read_text(out / "b/report.json"));
  EXPECT_GT(report.at("steps"), 10);
  EXPECT_GT(report.at("seconds").at("train").get<double>(), 0.5 * 8);
  EXPECT_EQ(report.at("test").at("views").size(), 2u);
}

TEST_F(ReconstructCommand, MasksOfItsOwnRendersHideNothing) {
  const TemporaryFolder out;
  const auto made =
      run_t3d("render " + set() + "/../a.obj -o " + out / "set" +
              " --res 32 --samples 4 --train-views 6 --val-views 0 --test-views 2 --mask --depth --normal");
  ASSERT_EQ(made.exit_code, 0) << made.output;
  const auto result =
      run_t3d("reconstruct " + out / "set" + " -o " + out / "run" + kShort + "--no-video --no-mesh");
  ASSERT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("hide nothing"));
  EXPECT_THAT(result.output, ::testing::Not(HasSubstr("not known")));
}

TEST_F(ReconstructCommand, RefusesAFolderThatIsInUse) {
  const TemporaryFolder out;
  write_text(out / "notes.txt", "mine");
  const auto result = run_t3d("reconstruct " + set() + " -o " + out.string() + kShort);
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.output, HasSubstr("Pass --resume or --overwrite"));
  EXPECT_EQ(read_text(out / "notes.txt"), "mine");
}

}  // namespace
}  // namespace t3d
