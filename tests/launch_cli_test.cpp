#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include "tests/support/run_program.h"

/// Training in two processes on the CPU, from the outside.
namespace t3d {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::run_t3d;
using testing::TemporaryFolder;

TEST(Launch, SaysWhatItCannotStart) {
  const auto none = run_t3d("launch -n 2");
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_THAT(none.output, HasSubstr("no command was given"));
  const auto other = run_t3d("launch -n 2 -- doctor");
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.output, HasSubstr("t3d doctor works in one process"));
  EXPECT_EQ(run_t3d("launch -n 0 -- prior train").exit_code, 2);
}

TEST(PriorTrain, LeavesNoRunBehindWhenItsDataIsMissing) {
  const TemporaryFolder folder;
  const auto none = run_t3d("prior train --config " T3D_SOURCE_DIR "/configs/toybox/autoencoder.yaml data=" +
                            folder / "absent" + " -o " + folder / "run");
  EXPECT_EQ(none.exit_code, 3);
  EXPECT_THAT(none.output, HasSubstr("there is no such folder"));
  EXPECT_FALSE(fs::exists(folder / "run"));
}

#if defined(T3D_HAS_GLOO) && defined(T3D_HAS_EMBREE)

struct LaunchedTraining : ::testing::Test {
  TemporaryFolder folder;

  void SetUp() override {
    const auto made = run_t3d("toybox data -o " + folder / "data" + " --objects 4 --res 16 --samples 1");
    ASSERT_EQ(made.exit_code, 0) << made.output;
    testing::write_text(
        folder / "tiny.yaml",
        "part: autoencoder\nblock_channels: [8, 16]\nnorm_groups: 4\nbatch: 4\nval_images: 4\n"
        "data: " +
            folder / "data" + "\n");
  }
  std::string training(const std::string& name, const std::string& more) const {
    return "prior train --config " + folder / "tiny.yaml" + " -o " + folder / name + " " + more;
  }

  /// Starts a training of two processes and waits for its first checkpoint.
  pid_t start_long_run() const {
    const std::string command = "exec " T3D_PROGRAM " launch -n 2 -- " +
                                training("run", "steps=100000 checkpoint_every=5") + " > " + folder / "log" +
                                " 2>&1";
    const pid_t pid = fork();
    if (pid == 0) {
      execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      _exit(127);
    }
    for (int i = 0; i < 1800 && !has_checkpoint(); ++i) short_while();
    EXPECT_TRUE(has_checkpoint()) << testing::read_text(folder / "log");
    return pid;
  }
  /// Of any step, for the run keeps the newest two alone; step folders are complete when they appear.
  bool has_checkpoint() const {
    std::error_code absent;
    for (fs::directory_iterator i(folder / "run/ckpts", absent), end; i != end; i.increment(absent))
      if (i->path().filename().string().rfind("step_", 0) == 0) return true;
    return false;
  }
  static void short_while() { std::this_thread::sleep_for(std::chrono::milliseconds(100)); }

  static int exit_code(pid_t pid) {
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  /// The processes that `parent` started.
  static std::vector<pid_t> children(pid_t parent) {
    std::vector<pid_t> out;
    std::istringstream text(testing::read_text("/proc/" + std::to_string(parent) + "/task/" +
                                               std::to_string(parent) + "/children"));
    for (pid_t pid = 0; text >> pid;) out.push_back(pid);
    return out;
  }
};

TEST_F(LaunchedTraining, WritesOneModelAndGoesOnAfterATimeLimit) {
  const auto first = run_t3d("launch -n 2 -- " + training("run", "steps=20 --time-limit 0.001"));
  EXPECT_EQ(first.exit_code, 0) << first.output;
  EXPECT_THAT(first.output, HasSubstr("the time is up: "));
  EXPECT_THAT(first.output,
              ::testing::ContainsRegex("Go on with: .*t3d launch -n 2 -- prior train .* --resume\n"));
  const auto rest = run_t3d("launch -n 2 -- " + training("run", "steps=20 --resume"));
  EXPECT_EQ(rest.exit_code, 0) << rest.output;
  EXPECT_THAT(rest.output, ::testing::Not(HasSubstr("[rank 1]")));
  EXPECT_TRUE(fs::exists(folder / "run/vae/diffusion_pytorch_model.safetensors"));
  EXPECT_TRUE(fs::exists(folder / "run/csv_logs/version_0"));
  EXPECT_FALSE(fs::exists(folder / "run/csv_logs/version_1"));
}

TEST_F(LaunchedTraining, EndsWhenOneProcessIsKilled) {
  const pid_t launcher = start_long_run();
  const auto ranks = children(launcher);
  ASSERT_EQ(ranks.size(), 2u);
  kill(ranks[1], SIGKILL);
  EXPECT_EQ(exit_code(launcher), 3);
  EXPECT_NE(kill(ranks[0], 0), 0);
  EXPECT_THAT(testing::read_text(folder / "log"), HasSubstr("process 1 of 2 was ended by signal 9"));
}

TEST_F(LaunchedTraining, CtrlCSavesOnceAndEndsAll) {
  const pid_t launcher = start_long_run();
  kill(launcher, SIGINT);
  EXPECT_EQ(exit_code(launcher), 130);
  const std::string log = testing::read_text(folder / "log");
  EXPECT_THAT(log,
              ::testing::ContainsRegex("\\[info\\] interrupted: the work up to step [0-9]+ is saved in "));
  EXPECT_THAT(log, ::testing::ContainsRegex("Go on with: .*t3d launch -n 2 -- prior train .* --resume\n"));
  EXPECT_THAT(log, ::testing::Not(HasSubstr("[error]")));
}

TEST_F(LaunchedTraining, ABatchThatCannotBeSharedIsSaidOnceAndLeavesNoFolder) {
  const auto result = run_t3d("launch -n 2 -- " + training("odd", "batch=3"));
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.output,
            "[error] batch is 3, expected a multiple of the 2 processes. Use batch=2, or another number of "
            "processes.\n");
  EXPECT_FALSE(fs::exists(folder / "odd"));
}

TEST_F(LaunchedTraining, TheFirstProcessSaysWhatIsMissingThoughAnotherOneFailedBefore) {
  // Without CUDA, or with one GPU, process 1 cannot join, and may say so before process 0 has looked for its
  // data.
  const auto result =
      run_t3d("launch -n 2 -- " + training("none", "data=" + folder / "absent" + " --device cuda"));
  EXPECT_EQ(result.exit_code, 3) << result.output;
  EXPECT_THAT(result.output, HasSubstr("absent: there is no such folder"));
  EXPECT_FALSE(fs::exists(folder / "none"));
}

TEST_F(LaunchedTraining, WhatTheFirstStepRefusesLeavesNoFolderEither) {
  // 16 pixels cannot be halved five times: found by all processes, after the folder was made.
  const auto result = run_t3d("launch -n 2 -- " + training("deep", "'block_channels=[8,8,8,8,8,8]' steps=2"));
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(std::count(result.output.begin(), result.output.end(), '\n'), 1) << result.output;
  EXPECT_THAT(result.output, HasSubstr("[error] the pictures are 16 pixels wide, expected a multiple of 32"));
  EXPECT_FALSE(fs::exists(folder / "deep"));
}

TEST_F(LaunchedTraining, AWrongFolderIsSaidOnce) {
  fs::create_directories(folder / "full/x");
  const auto result = run_t3d("launch -n 2 -- " + training("full", ""));
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.output, HasSubstr("the folder exists and is not empty"));
  EXPECT_EQ(std::count(result.output.begin(), result.output.end(), '\n'), 1) << result.output;
  EXPECT_THAT(result.output, ::testing::Not(HasSubstr("[rank 1]")));
}

#endif

}  // namespace
}  // namespace t3d
