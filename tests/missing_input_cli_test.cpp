#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/run_program.h"

/// One rule for all commands, docs/errors.md: what was named and is not there is exit code 3, and the message
/// names it. What is there and wrong is 2.
namespace t3d {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::run_t3d;
using testing::TemporaryFolder;

struct MissingInput {
  const char* command;  ///< with OUT for a place that can be written and GONE for a path that is not there
  const char* named;    ///< of the message, GONE as above
};

/// Each argument and option of each command that names something to read.
const MissingInput kMissing[] = {
    {"generate 'a red cube' --recipe GONE.yaml -o OUT", "GONE.yaml"},
    {"generate 'a red cube' --model GONE -o OUT", "GONE"},
    {"generate 'a red cube' --recipe dreamfusion --model GONE -o OUT", "GONE"},
    {"train --config GONE.yaml", "GONE.yaml"},
    {"validate --config GONE.yaml", "GONE.yaml"},
    {"test --config GONE.yaml", "GONE.yaml"},
    {"export --config GONE.yaml", "GONE.yaml"},
    {"--config GONE.yaml --train", "GONE.yaml"},
    {"train --config toybox-sds system.prompt_processor.prompt=x exp_root_dir=OUT resume=GONE", "GONE"},
    {"train --config toybox-sds system.prompt_processor.prompt=x exp_root_dir=OUT system.weights=GONE",
     "GONE"},
    {"train --config toybox-sds system.prompt_processor.prompt=x exp_root_dir=OUT "
     "system.guidance.model_name=GONE",
     "GONE"},
    {"check GONE.yaml", "GONE.yaml"},
    {"render GONE.obj -o OUT", "GONE.obj"},
    {"render GONE -o OUT", "GONE"},
    {"reconstruct GONE -o OUT", "GONE"},
    {"reconstruct --config GONE.yaml -o OUT", "GONE.yaml"},
    {"convert GONE.safetensors -o OUT", "GONE.safetensors"},
    {"convert toybox --tokenizer GONE -o OUT", "GONE"},
    {"models synthesize sd21 --tokenizer GONE -o OUT", "GONE"},
    {"forward unet --model GONE --inputs GONE.safetensors --output OUT.safetensors", "GONE"},
    {"forward unet --model toybox --inputs GONE.safetensors --output OUT.safetensors", "GONE.safetensors"},
    {"sample 'a red cube' --model GONE -o OUT.png", "GONE"},
    {"distill2d 'a red cube' --model GONE -o OUT", "GONE"},
    {"prior train --config GONE.yaml -o OUT", "GONE.yaml"},
    {"prior train --config SOURCE/configs/toybox/autoencoder.yaml data=GONE -o OUT", "GONE"},
    {"prior train --config SOURCE/configs/toybox/unet.yaml data=GONE vae=GONE -o OUT", "GONE"},
    {"prior train --config SOURCE/configs/toybox/judge.yaml data=GONE -o OUT", "GONE"},
    {"evaluate objects GONE --json OUT.json", "GONE"},
    {"evaluate objects ground-truth -n 1 --judge GONE --json OUT.json", "GONE"},
    {"evaluate objects ground-truth --captions GONE.txt --json OUT.json", "GONE.txt"},
    {"evaluate samples --model GONE --captions held-out --json OUT.json", "GONE"},
    {"evaluate samples --model ground-truth --captions GONE.txt --json OUT.json", "GONE.txt"},
    {"evaluate views GONE --clip SOURCE/models/toybox/judge --json OUT.json", "GONE"},
    {"evaluate views SOURCE --clip GONE --json OUT.json", "GONE"},
};

std::string filled(std::string text, const TemporaryFolder& folder) {
  const std::pair<const char*, std::string> words[] = {
      {"GONE", folder / "gone/nowhere"}, {"OUT", folder / "out"}, {"SOURCE", T3D_SOURCE_DIR}};
  for (const auto& [name, instead] : words)
    for (size_t at = 0; (at = text.find(name, at)) != std::string::npos; at += instead.size())
      text.replace(at, std::string(name).size(), instead);
  return text;
}

TEST(MissingInput, IsExitCode3AndNamedByEveryCommandAndNothingIsWritten) {
  const TemporaryFolder folder;
  for (const MissingInput& missing : kMissing) {
    const std::string command = filled(missing.command, folder);
    const auto result = run_t3d(command);
    EXPECT_EQ(result.exit_code, 3) << command << "\n" << result.output;
    EXPECT_THAT(result.output, HasSubstr(filled(missing.named, folder))) << command;
    EXPECT_THAT(result.output, HasSubstr("[error] ")) << command;
    EXPECT_TRUE(fs::is_empty(folder.string())) << command;
  }
}

TEST(MissingInput, WhatIsThereAndWrongIsExitCode2) {
  const TemporaryFolder folder;
  const std::string wrong = folder / "wrong";
  for (const char* ending : {".yaml", ".obj", ".safetensors", ".png"})
    std::ofstream(wrong + ending) << "{[;\x01";
  fs::create_directories(wrong);
  const std::string out = " -o " + folder / "out";
  for (const std::string& command :
       {"generate 'a red cube' --recipe " + wrong + ".yaml" + out, "train --config " + wrong + ".yaml",
        "generate 'a red cube' --model " + wrong + out, "render " + wrong + ".obj" + out,
        "render " + wrong + out, "reconstruct " + wrong + out, "convert " + wrong + ".safetensors" + out,
        "sample 'a red cube' --model " + wrong + out + ".png", "evaluate objects " + wrong,
        "prior train --config " T3D_SOURCE_DIR "/configs/toybox/autoencoder.yaml data=" + wrong + out}) {
    const auto result = run_t3d(command);
    EXPECT_EQ(result.exit_code, 2) << command << "\n" << result.output;
    EXPECT_FALSE(fs::exists(folder / "out")) << command;
  }
}

}  // namespace
}  // namespace t3d
