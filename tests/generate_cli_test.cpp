#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "t3d/core/shell_line.h"
#include "t3d/core/text.h"
#include "t3d/io/read_mesh.h"
#include "tests/support/run_program.h"
#include "tests/support/temporary_folder.h"

namespace t3d {
namespace {

using ::testing::HasSubstr;
using testing::run_t3d;
using testing::TemporaryFolder;

TEST(Generate, UnknownWordsGetTheNearestCaption) {
  const auto result = run_t3d("generate 'a red mushrom with a white stem'");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.output, HasSubstr("mushrom"));
  EXPECT_THAT(result.output, HasSubstr("The nearest caption is \"a red mushroom with a white stem\""));
}

TEST(Generate, EmptyAndOddPromptsAreAnswered) {
  EXPECT_THAT(run_t3d("generate ' '").output, HasSubstr("the prompt is empty"));
  for (const char* prompt : {"'a \"quoted\" cube'", "'../../etc/passwd'", "'🍄'"}) {
    const auto result = run_t3d(cat("generate ", prompt));
    EXPECT_EQ(result.exit_code, 2) << prompt;
    EXPECT_THAT(result.output, HasSubstr("caption")) << prompt;
  }
  EXPECT_EQ(run_t3d("generate '" + std::string(400, 'x') + "'").exit_code, 2);
}

TEST(Generate, UnknownRecipesAndModelsAreSuggested) {
  EXPECT_THAT(run_t3d("generate 'a red cube' --recipe toybx").output, HasSubstr("did you mean toybox"));
  EXPECT_THAT(run_t3d("generate 'a red cube' --model stabilityai/nothing").output,
              HasSubstr("is not a path and is not in"));
}

TEST(Generate, FoldersThatAreInUseAreKept) {
  const TemporaryFolder folder;
  std::ofstream(folder.string() + "/notes.txt") << "mine";
  const auto result =
      run_t3d(cat("generate 'a red cube' --model ", T3D_SOURCE_DIR, "/models/toybox -o ", folder.string()));
  EXPECT_NE(result.exit_code, 0);
  EXPECT_TRUE(std::ifstream(folder.string() + "/notes.txt").good());
}

TEST(Generate, LeavesAMeshPicturesAndAReport) {
  const TemporaryFolder folder;
  const std::string out = folder / "mushroom";
  const std::string size = " data.width=16 data.height=16 --frames 3 --frame-size 32 --mesh-resolution 48";
  const auto result = run_t3d(
      "generate 'A photo of a red mushroom with a white stem' --device cpu --steps 2 -o " + out + size);
  ASSERT_EQ(result.exit_code, 0) << result.output;
  const auto report = nlohmann::json::parse(testing::read_text(out + "/run.json"));
  EXPECT_EQ(report.at("caption"), "a red mushroom with a white stem");
  EXPECT_EQ(report.at("steps"), 2);
  EXPECT_GT(report.at("mesh").at("triangles"), 100);
  for (const auto& [file, bytes] : report.at("files").items())
    EXPECT_EQ(std::filesystem::file_size(out + "/" + file), bytes) << file;
  for (const char* file : {"mesh.glb", "mesh.obj", "preview.png"})
    EXPECT_TRUE(report.at("files").contains(file)) << file;

  // Anything that makes another object of it is refused, and nothing is touched.
  const std::string before = testing::read_text(out + "/run.json") + testing::read_text(out + "/mesh.glb");
  const std::string same =
      "generate 'A photo of a red mushroom with a white stem' --device cpu --steps 3 --resume ";
  const std::pair<std::string, const char*> others[] = {
      {"generate 'a blue chair' --device cpu --steps 3 --resume ", "system.prompt_processor.prompt"},
      {same + "--seed 3 ", "has seed 0, and what was asked for has 3"},
      {same + "seed=4 ", "has seed 0, and what was asked for has 4"},
      {same + "system.guidance.guidance_scale=9 ", "system.guidance.guidance_scale 5.0"},
      {same + "--recipe toybox-sds ", "the run in this folder has"}};
  for (const auto& [command, expected] : others) {
    const auto refused = run_t3d(command + "-o " + out + size);
    EXPECT_EQ(refused.exit_code, 2) << command;
    EXPECT_THAT(refused.output, HasSubstr(expected)) << command;
  }
  EXPECT_EQ(testing::read_text(out + "/run.json") + testing::read_text(out + "/mesh.glb"), before);

  const auto again = run_t3d(same + "-o " + out + size);
  ASSERT_EQ(again.exit_code, 0) << again.output;
  EXPECT_EQ(nlohmann::json::parse(testing::read_text(out + "/run.json")).at("steps"), 3);
}

/// A recipe for any words, at its smallest.
constexpr const char* kSmallest =
    " --recipe toybox-sds --device cpu --steps 1 data.width=8 data.height=8 "
    "system.renderer.num_samples_per_ray=16 system.geometry.pos_encoding_config.log2_hashmap_size=8 "
    "--mesh-resolution 32 --frames 2 --frame-size 16 ";

TEST(Generate, TheExportersKeysCountAndFormatIsShortForOne) {
  namespace fs = std::filesystem;
  const TemporaryFolder folder;
  const std::string command = "generate 'a red cube'" + std::string(kSmallest) + "-o " + folder / "a";
  const auto twice = run_t3d(command + " --format glb system.exporter.fmt=ply");
  EXPECT_EQ(twice.exit_code, 2);
  EXPECT_THAT(twice.output, HasSubstr("system.exporter.fmt=ply and --format say the same thing twice"));
  const auto unknown = run_t3d(command + " --format fbx");
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.output, HasSubstr("--format: system.exporter.fmt is fbx, expected one of obj-mtl"));
  EXPECT_FALSE(fs::exists(folder / "a"));

  const auto result = run_t3d(command +
                              " --format glb system.exporter.texture_size=32 "
                              "system.exporter.save_name=cube");
  ASSERT_EQ(result.exit_code, 0) << result.output;
  const auto files = nlohmann::json::parse(testing::read_text(folder / "a/run.json")).at("files");
  EXPECT_TRUE(files.contains("cube.glb"));
  EXPECT_FALSE(fs::exists(folder / "a/mesh.glb"));
  EXPECT_FALSE(fs::exists(folder / "a/cube.obj"));
  EXPECT_EQ(io::read_mesh(folder / "a/cube.glb").textures.at(0).width, 32);
  ASSERT_EQ(run_t3d(command + " --overwrite system.exporter.fmt=ply").exit_code, 0);
  EXPECT_TRUE(fs::exists(folder / "a/mesh.ply"));
  EXPECT_FALSE(fs::exists(folder / "a/cube.glb")) << "the report of the earlier run names it";
}

/// A long caption: quotes, slashes, an emoji, two-byte letters where the folder's name is cut. More than 400
/// characters.
std::string long_caption() {
  std::string text = "A \"close-up\" photo of a red/blue mushroom \U0001F344, it's ../fine; ";
  for (int i = 0; i < 60; ++i) text += "\u00e4";
  while (text.size() < 480) text += cat(" with moss and stone number ", text.size(), ",");
  return text;
}

TEST(Generate, ALongPromptIsKeptWholeAndItsFolderHasASaneName) {
  namespace fs = std::filesystem;
  const TemporaryFolder folder;
  const std::string prompt = long_caption();
  const std::string command = "generate " + shell_word(prompt) + kSmallest;
  const auto result = run_t3d(command, "cd '" + folder.string() + "';");
  ASSERT_EQ(result.exit_code, 0) << result.output;
  ASSERT_EQ(std::distance(fs::directory_iterator(folder / "out"), {}), 1);
  const fs::path run = fs::directory_iterator(folder / "out")->path();
  const std::string name = run.filename().string();
  EXPECT_LE(name.size(), 80u);
  EXPECT_THAT(name,
              ::testing::StartsWith("a_close_up_photo_of_a_red_blue_mushroom_\U0001F344_it_s_fine_\u00e4"));
  EXPECT_THAT(name, ::testing::EndsWith("\u00e4"));  // the cut is at the end of a character
  const auto report = nlohmann::json::parse(testing::read_text((run / "run.json").string()));
  EXPECT_EQ(report.at("prompt"), prompt);

  // What the text encoder does not see is said once: the caption's end, and with it the words of directions.
  const std::string said = "the prompt is longer than 30 tokens; left out: \"";
  const size_t at = result.output.find(said);
  ASSERT_NE(at, std::string::npos) << result.output;
  EXPECT_EQ(result.output.find(said, at + 1), std::string::npos);
  const std::string line = result.output.substr(at, result.output.find('\n', at) - at);
  EXPECT_THAT(line, HasSubstr("with moss and stone number"));
  EXPECT_THAT(line, HasSubstr(", and the same with \", side view\", \", front view\""));
  EXPECT_THAT(line, ::testing::Not(HasSubstr("mushroom")));

  // The same words again go into a folder of their own beside it.
  ASSERT_EQ(run_t3d(command, "cd '" + folder.string() + "';").exit_code, 0);
  EXPECT_TRUE(fs::exists(folder / ("out/" + name + "-2/run.json")));
}

TEST(Generate, BytesThatAreNotTextAreRefusedBeforeAFolderIsMade) {
  const TemporaryFolder folder;
  const auto result = run_t3d("generate \"$(printf 'a red \\377 cube')\"" + std::string(kSmallest),
                              "cd '" + folder.string() + "';");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.output, HasSubstr("UTF-8"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.string()));
}

TEST(Train, TheCommandLineOfThreestudioIsUnderstood) {
  const auto result = run_t3d("--config nothing.yaml --train --gpu 0 data.width=8");
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.output, HasSubstr("nothing.yaml"));
  EXPECT_THAT(run_t3d("--config a.yaml --train --test").output, HasSubstr("contradict"));
  EXPECT_THAT(run_t3d("test --config nothing.yaml").output, HasSubstr("nothing.yaml"));
}

TEST(Train, ALongPromptNamesFoldersThatTheDiskTakes) {
  namespace fs = std::filesystem;
  const TemporaryFolder folder;
  const auto result = run_t3d(
      "train --device cpu --config toybox-sds " +
      shell_word("system.prompt_processor.prompt=" + long_caption()) +
      " trainer.max_steps=1 data.width=8 data.height=8 data.n_test_views=1 data.eval_width=8 "
      "data.eval_height=8 "
      "system.renderer.num_samples_per_ray=16 system.geometry.pos_encoding_config.log2_hashmap_size=8 "
      "exp_root_dir=" +
      folder / "o");
  ASSERT_EQ(result.exit_code, 0) << result.output;
  size_t n_runs = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder.string())) {
    EXPECT_LE(entry.path().filename().string().size(), 255u);
    if (entry.path().filename() != "parsed.yaml") continue;
    ++n_runs;
    // Slashes make folders, as in the reference, and lead nowhere else.
    EXPECT_THAT(entry.path().string(), HasSubstr("A_\"close-up\"_photo_of_a_red/blue_mushroom_\U0001F344"));
  }
  EXPECT_EQ(n_runs, 1u);
}

TEST(Train, AMissingPromptSaysHowToGiveIt) {
  const auto result = run_t3d(cat("train --config ", T3D_SOURCE_DIR, "/configs/toybox.yaml"));
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.output, HasSubstr("add system.prompt_processor.prompt="));
}

TEST(Check, SaysWhatStandsInTheWay) {
  const TemporaryFolder folder;
  const std::string file = folder.string() + "/recipe.yaml";
  std::ofstream(file) << "data_type: random-camera-datamodule\ndata: {heigth: 64}\n"
                         "system_type: zero123-system\nsystem:\n  geometry_type: implicit-volum\n"
                         "  material_type: no-material\n  renderer_type: nvdiff-rasterizer\n"
                         "  guidance_type: multiview-diffusion-guidance\n  guidance: {model_name: nowhere}\n"
                         "  prompt_processor_type: stable-diffusion-prompt-processor\n"
                         "  prompt_processor:\n    prompt: ???\n";
  const auto result = run_t3d("check " + file);
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.output, HasSubstr("did you mean data.height?"));
  EXPECT_THAT(result.output, HasSubstr("zero123-system"));
  EXPECT_THAT(result.output, HasSubstr("not built yet"));
  EXPECT_THAT(result.output, HasSubstr("did you mean implicit-volume"));
  EXPECT_THAT(result.output, HasSubstr("add system.prompt_processor.prompt"));
  EXPECT_THAT(result.output, HasSubstr("model nowhere is not a path"));
}

TEST(Check, LooksWhetherTheRunsToStartFromAreThere) {
  const TemporaryFolder folder;
  const std::string file = std::string(T3D_SOURCE_DIR) + "/configs/toybox.yaml";
  const auto result =
      run_t3d("check " + file + " system.prompt_processor.prompt=a resume=" + folder.string() +
              " system.weights=" + folder / "gone.ckpt" +
              " system.geometry_convert_from=" + folder / "x@LAST/ckpts/last.ckpt");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.output, HasSubstr("gone.ckpt: is not there"));
  EXPECT_THAT(result.output, HasSubstr("no folder's name begins with"));
  EXPECT_THAT(result.output, HasSubstr("3 of these stand in the way"));
}

TEST(Check, LooksIntoThePatchRendererAndKnowsWhichGeometriesARendererShows) {
  const std::string configs = std::string(T3D_SOURCE_DIR) + "/configs/";
  const auto patch = run_t3d("check " + configs + "prolificdreamer-patch.yaml " +
                             "system.renderer.base_renderer.num_sample_per_ray=1");
  EXPECT_THAT(patch.output, HasSubstr("did you mean system.renderer.base_renderer.num_samples_per_ray?"));
  const auto density = run_t3d("check " + configs + "dreamfusion.yaml system.geometry_type=implicit-sdf");
  EXPECT_THAT(density.output, HasSubstr("use neus-volume-renderer"));
  const auto distance = run_t3d("check " + configs + "textmesh.yaml system.geometry_type=implicit-volume");
  EXPECT_THAT(distance.output, HasSubstr("use geometry_type=implicit-sdf"));
}

}  // namespace
}  // namespace t3d
