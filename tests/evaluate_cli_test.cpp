#include <ATen/Context.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "t3d/core/remove_tree.h"
#include "t3d/core/text.h"
#include "tests/support/optional_libraries.h"
#include "tests/support/run_program.h"

namespace t3d {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::read_text;
using testing::run_t3d;
using testing::write_text;

/// Data, a model and a judge made by the program itself: far too small to know anything.
struct EvaluateCommand : ::testing::Test {
  static testing::TemporaryFolder* folder;

  void SetUp() override { T3D_NEED_EMBREE(); }
  static void SetUpTestSuite() {
    folder = new testing::TemporaryFolder;
    if (!testing::kHasEmbree) return;
    const auto& f = *folder;
    run("toybox data -o " + f / "data" + " --objects 6 --res 32 --samples 1 --single-views 0 --jobs 1");
    const std::string data = " data=" + f / "data" + " batch=8 steps=2 warmup=0 ";
    write_text(f / "vae.yaml", "part: autoencoder\nblock_channels: [8, 8]\nnorm_groups: 4\nval_images: 4\n");
    run("prior train --config " + f / "vae.yaml" + data + "-o " + f / "vae");
    write_text(f / "unet.yaml",
               "part: unet\nblock_channels: [8, 16]\nn_heads: [1, 2]\nattention: [0, 1]\nnorm_groups: 4\n"
               "text_channels: 8\ntext_layers: 1\ntext_heads: 1\n");
    run("prior train --config " + f / "unet.yaml" + data + "vae=" + f / "vae/vae" + " -o " + f / "model");
    write_text(f / "judge.yaml",
               "part: judge\nimage_size: 16\npatch_size: 8\nvision_channels: 16\nvision_layers: 1\n"
               "vision_heads: 2\ntext_channels: 16\ntext_layers: 1\ntext_heads: 2\nshared_channels: 8\n");
    run("prior train --config " + f / "judge.yaml" + data + "-o " + f / "judge");
  }
  static void TearDownTestSuite() { delete folder; }

  static void run(const std::string& arguments) {
    const auto result = run_t3d(arguments);
    ASSERT_EQ(result.exit_code, 0) << arguments << "\n" << result.output;
  }
  static std::string judge() { return " --judge " + *folder / "judge/judge" + " --captions "; }
};

testing::TemporaryFolder* EvaluateCommand::folder = nullptr;

TEST_F(EvaluateCommand, SamplesOfAModelGetAReportAndASheet) {
  const auto result =
      run_t3d("evaluate samples --model " + *folder / "model" + judge() +
              "held-out -n 2 --steps 2 --truths 1 --candidates 3 --json " + *folder / "out/a.json");
  ASSERT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("| colour accuracy |"));
  const auto report = nlohmann::json::parse(read_text(*folder / "out/a.json"));
  EXPECT_EQ(report.at("captions").size(), 2u);
  EXPECT_EQ(report.at("captions")[0].at("views"), 4);
  EXPECT_EQ(report.at("r_precision").at("ci95").size(), 2u);
  EXPECT_EQ(report.at("steps"), 2);
  EXPECT_TRUE(fs::exists(*folder / "out/a.png"));
  EXPECT_THAT(run_t3d("toybox captions --split held-out -n 2").output,
              HasSubstr(report.at("captions")[1].at("caption").get<std::string>()));
}

TEST_F(EvaluateCommand, TheTruthHasTheColoursOfItsCaptions) {
  write_text(*folder / "captions.txt", "a red sphere\na blue cube on top of a yellow cube\n");
  const auto result = run_t3d("evaluate samples --model ground-truth" + judge() + *folder / "captions.txt" +
                              " --truths 2 --res 32 --candidates 3 --json " + *folder / "b.json");
  ASSERT_EQ(result.exit_code, 0) << result.output;
  const auto report = nlohmann::json::parse(read_text(*folder / "b.json"));
  EXPECT_EQ(report.at("colour_accuracy").at("value"), 1.0);
  EXPECT_EQ(report.at("colour_accuracy").at("n"), 3);
}

TEST_F(EvaluateCommand, ViewsOfPromptsAreCompared) {
  for (const char* prompt : {"a_red_sphere", "a_blue_cube"}) {
    fs::create_directories(*folder / "views/" + prompt);
    fs::copy(*folder / "vae/reconstructions.png", cat(*folder / "views/", prompt, "/0.png"));
  }
  const auto result = run_t3d("evaluate views " + *folder / "views" + " --clip " + *folder / "judge/judge" +
                              " --json " + *folder / "c.json" + " --result-dir " + *folder / "texts");
  ASSERT_EQ(result.exit_code, 0) << result.output;
  const auto report = nlohmann::json::parse(read_text(*folder / "c.json"));
  EXPECT_EQ(report.at("recall").at("value"), 0.5);  // the same picture for both
  EXPECT_THAT(read_text(*folder / "texts/recall.txt"), HasSubstr("average: 0.5"));
}

TEST_F(EvaluateCommand, ObjectsAreMeasuredAndThoseThatCannotBeAreNamed) {
  const std::string objects = *folder / "objects";
  for (const char* name : {"first", "second", "unfinished"}) {
    fs::create_directories(objects + "/" + name);
    run(std::string("toybox mesh \"a red cube\" --seed ") + (name[0] == 'f' ? "1" : "2") + " -o " + objects +
        "/" + name + "/mesh.glb");
    if (name[0] != 'u')
      write_text(objects + "/" + name + "/run.json", R"({"prompt": "Red cube", "seed": 3})");
  }
  const std::string rest = " --judge " + *folder / "judge/judge" +
                           " --views 2 --res 32 --truths 2 --candidates 3 --json " + *folder / "objects.json";
  const auto result = run_t3d("evaluate objects " + objects + rest);
  ASSERT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, AllOf(HasSubstr("| silhouette IoU, best truth |"),
                                   HasSubstr("Not measured: 1 of 3 objects."), HasSubstr("- unfinished: ")));
  const auto report = nlohmann::json::parse(read_text(*folder / "objects.json"));
  EXPECT_EQ(report.at("objects").size(), 2u);
  EXPECT_EQ(report.at("objects")[0].at("caption"), "a red cube");
  EXPECT_EQ(report.at("objects")[0].at("seed"), 3);
  EXPECT_GT(report.at("silhouette_iou").at("value"), 0.8);
  EXPECT_EQ(report.at("diversity").at("n"), 1);
  EXPECT_EQ(report.at("failures")[0].at("object"), "unfinished");
  EXPECT_TRUE(fs::exists(*folder / "objects.png"));

  const auto mixed = run_t3d("evaluate objects " + objects + " -n 3" + rest);
  EXPECT_EQ(mixed.exit_code, 2);
  EXPECT_THAT(mixed.output, HasSubstr("-n is for ground-truth"));
  remove_tree(objects + "/first");
  remove_tree(objects + "/second");
  fs::remove(*folder / "objects.json");
  const auto none = run_t3d("evaluate objects " + objects + rest);
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_THAT(none.output, AllOf(HasSubstr("none of 1 sub-folders"), HasSubstr("--resume")));
  EXPECT_FALSE(fs::exists(*folder / "objects.json"));
}

TEST_F(EvaluateCommand, TheShippedJudgeIsFoundFromEverywhere) {
  const auto result =
      run_t3d("evaluate objects ground-truth -n 1 --views 2 --res 32 --truths 1 --candidates 3",
              "cd '" + folder->string() + "' &&");
  ASSERT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("| R-precision, all views of an object |"));
}

TEST_F(EvaluateCommand, WhatIsMissingOrWrongIsExplained) {
  const auto message = [](const std::string& arguments, int exit_code = 2) {
    const auto result = run_t3d("evaluate samples --json " + *folder / "no.json" + " " + arguments);
    EXPECT_EQ(result.exit_code, exit_code) << arguments;
    EXPECT_FALSE(fs::exists(*folder / "no.json"));
    return result.output;
  };
  const std::string truth = "--model ground-truth";
  EXPECT_THAT(message(truth + " --captions held-out --judge " + *folder / "nowhere", 3),
              AllOf(HasSubstr("no such folder"), HasSubstr("t3d prior train")));
  write_text(*folder / "empty.txt", "\n\n");
  EXPECT_THAT(message(truth + judge() + *folder / "empty.txt"), HasSubstr("holds no caption"));
  write_text(*folder / "bytes.txt", "a red cube\n\xc3\x28\n");
  EXPECT_THAT(message(truth + judge() + *folder / "bytes.txt"), HasSubstr("bytes.txt:2: "));
  write_text(*folder / "zebra.txt", "a red zebra\n");
  EXPECT_THAT(message(truth + judge() + *folder / "zebra.txt"), HasSubstr("zebra"));
  EXPECT_THAT(message("--model " + *folder / "nowhere" + judge() + "held-out", 3), HasSubstr("nowhere"));
  if (!at::hasCUDA()) {
    const auto result = run_t3d("evaluate objects ground-truth --device cuda");
    EXPECT_EQ(result.exit_code, 3);
    EXPECT_THAT(result.output, HasSubstr("has no CUDA"));
  }
}

}  // namespace
}  // namespace t3d
