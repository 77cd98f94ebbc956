#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/support/run_program.h"

/// What a person reads who has just begun: the two streams, and answers to the first mistakes.
namespace t3d {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::read_text;
using testing::run_t3d;
using testing::TemporaryFolder;

/// Standard output alone, of a command that works.
std::string printed(const std::string& arguments, const TemporaryFolder& folder) {
  const std::string out = folder / "stdout", log = folder / "stderr";
  const std::string command =
      "'" T3D_PROGRAM "' " + arguments + " > '" + out + "' 2> '" + log + "' < /dev/null";
  EXPECT_EQ(std::system(command.c_str()), 0) << arguments << "\n" << read_text(log);
  return read_text(out);
}

TEST(Output, EveryCommandPrintsThePathOfItsResultAndNothingElse) {
  const TemporaryFolder folder;
  const std::string mesh = folder / "cube.glb";
  EXPECT_EQ(printed("toybox mesh 'a red cube' -o " + mesh, folder), mesh + "\n");
#ifdef T3D_HAS_EMBREE
  const std::string views = folder / "views";
  EXPECT_EQ(printed("render " + mesh + " -o " + views +
                        " --res 16 --samples 1 --train-views 2 --val-views 0 --test-views 1",
                    folder),
            views + "\n");
  const std::string field = folder / "field";
  EXPECT_EQ(printed("reconstruct " + views + " -o " + field + " --device cpu --steps 2 --no-mesh --no-video",
                    folder),
            field + "\n");
  const std::string data = folder / "data";
  EXPECT_EQ(printed("toybox data -o " + data + " --objects 2 --res 16 --samples 1", folder), data + "\n");
#endif
  const std::string made = folder / "made";
  EXPECT_EQ(
      printed("generate 'a red cube' --recipe toybox-sds --device cpu --steps 1 data.width=8 data.height=8 "
              "system.renderer.num_samples_per_ray=16 --mesh-resolution 32 --frames 2 --frame-size 16 -o " +
                  made,
              folder),
      made + "\n");
  const std::string model = folder / "model";
  EXPECT_EQ(printed("convert toybox -o " + model, folder), model + "\n");
}

TEST(Output, NoColourIsPrintedWhereNobodyAskedForIt) {
  const TemporaryFolder folder;
  // script(1) gives the program a terminal.
  const std::string command = "script -qec \"'" T3D_PROGRAM "' toybox mesh 'a red cube' -o '" +
                              folder / "a.glb" + "'\" /dev/null < /dev/null";
  const auto shown = [&](const std::string& environment) {
    FILE* pipe = popen((environment + " " + command + " 2>&1").c_str(), "r");
    std::string text;
    char buffer[4096];
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, n);
    pclose(pipe);
    return text;
  };
  if (shown("TERM=xterm").find("12 triangles") == std::string::npos) GTEST_SKIP() << "there is no script(1)";
  EXPECT_THAT(shown("TERM=xterm"), HasSubstr("\x1b["));
  EXPECT_THAT(shown("TERM=xterm NO_COLOR=1"), Not(HasSubstr("\x1b[")));
  EXPECT_THAT(shown("TERM=dumb"), Not(HasSubstr("\x1b[")));
  EXPECT_THAT(run_t3d("toybox mesh 'a red cube' -o " + folder / "a.glb").output, Not(HasSubstr("\x1b[")));
}

TEST(Messages, APromptWithoutQuotesIsAnsweredWithThem) {
  const std::pair<const char*, const char*> commands[] = {
      {"generate a red mushroom", "t3d generate \"a red mushroom\""},
      {"generate a red mushroom -o x --steps 3", "t3d generate \"a red mushroom\""},
      {"generate a red mushroom data.width=8", "t3d generate \"a red mushroom\""},
      {"sample a red mushroom -o x.png", "t3d sample \"a red mushroom\""},
      {"distill2d a red mushroom -o x", "t3d distill2d \"a red mushroom\""},
      {"toybox mesh a red mushroom -o x.glb", "t3d toybox mesh \"a red mushroom\""},
      {"train --config toybox system.prompt_processor.prompt=a red mushroom",
       "\"system.prompt_processor.prompt=a red mushroom\""}};
  for (const auto& [command, expected] : commands) {
    const auto result = run_t3d(command);
    EXPECT_EQ(result.exit_code, 2) << command;
    EXPECT_THAT(result.output, AllOf(HasSubstr("needs quotes"), HasSubstr(expected))) << command;
  }
  EXPECT_THAT(run_t3d("generate 'a red cube' --stepz 3").output, HasSubstr("did you mean --steps?"));
}

TEST(Messages, AnOptionThatCameAsAnOverrideIsNamed) {
  const std::pair<const char*, const char*> commands[] = {
      {"generate 'a red cube' steps=3", "Write --steps 3."},
      {"generate 'a red cube' mesh_resolution=64", "Write --mesh-resolution 64."},
      {"generate 'a red cube' trial_dir=x", "the folder is -o"},
      {"generate 'a red cube' system.prompt_processor.prompt=x", "the prompt stands before"},
      {"generate 'a red cube' --seed 3 seed=4", "Leave one of them out"},
      {"generate 'a red cube' overwrite=true", "Write --overwrite."},
      {"prior train --config toybox.yaml -o x time_limit=5", "Write --time-limit 5."},
      {"train --config toybox device=cpu", "Write --device cpu."}};
  for (const auto& [command, expected] : commands) {
    const auto result = run_t3d(command);
    EXPECT_EQ(result.exit_code, 2) << command;
    EXPECT_THAT(result.output, HasSubstr(expected)) << command;
  }
}

TEST(Messages, FlagsThatSwitchSomethingOffReadAsSentences) {
  const auto help = run_t3d("reconstruct --help");
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.output, ::testing::ContainsRegex("--no-mesh +Do not write the mesh"));
  EXPECT_THAT(help.output, Not(HasSubstr("{false}")));
}

TEST(Messages, OneIsNotSeveral) {
  const TemporaryFolder folder;
#ifdef T3D_HAS_EMBREE
  EXPECT_THAT(run_t3d("toybox data -o " + folder / "data" + " --objects 1 --res 16 --samples 1").output,
              HasSubstr("1 object, 5 views, "));
#endif
}

TEST(Messages, TheShippedModelIsSaidToBeInTheCheckout) {
  const TemporaryFolder folder;
  const auto doctor = run_t3d("doctor");
  EXPECT_EQ(doctor.exit_code, 0);
  EXPECT_THAT(doctor.output,
              AllOf(HasSubstr("bfloat16 products"), HasSubstr("diffusion models"), HasSubstr("toybox")));
}

}  // namespace
}  // namespace t3d
