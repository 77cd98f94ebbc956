#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <vector>

#include "t3d/core/text.h"
#include "t3d/train/checkpoint.h"
#include "tests/support/run_program.h"
#include "tests/support/stopped_runs.h"

/// Text to 3D that is killed, or whose disk is full, while a checkpoint is written: the last good one stays,
/// and going on from it ends with the bits of a run that nothing stopped.
namespace t3d {
namespace {

namespace fs = std::filesystem;
using testing::expect_same_checkpoint;
using ::testing::HasSubstr;
using testing::ProgramResult;
using testing::run_t3d;
using testing::run_until;
using testing::TemporaryFolder;

constexpr int kSteps = 7;

/// The smallest pictures, with a table large enough that writing it takes a few milliseconds.
const std::string kSmallest =
    " --device cpu data.width=8 data.height=8 system.renderer.num_samples_per_ray=16 "
    "system.geometry.pos_encoding_config.log2_hashmap_size=15 ";

std::string generate(const std::string& out, int steps, const std::string& more) {
  return cat("generate 'a red cube' --recipe toybox-sds -o '", out, "' --steps ", steps, kSmallest,
             " --mesh-resolution 32 --frames 2 --frame-size 16 ", more);
}

std::string train(const std::string& out, int steps, const std::string& more) {
  const fs::path path(out);
  return cat("train --config toybox-sds 'system.prompt_processor.prompt=a red cube' use_timestamp=false",
             " exp_root_dir='", path.parent_path().string(), "' name=. tag=", path.filename().string(),
             " trainer.max_steps=", steps, kSmallest,
             " data.n_test_views=1 data.eval_width=8 data.eval_height=8 ", more);
}

std::string step_folder(const std::string& run, int step) {
  char name[32];
  std::snprintf(name, sizeof name, "/ckpts/step_%08d", step);
  return run + name;
}

/// Names in the folder that begin with `prefix`.
std::vector<std::string> entries(const std::string& folder, const std::string& prefix) {
  std::vector<std::string> names;
  std::error_code failure;
  for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end; entry.increment(failure))
    if (const std::string name = entry->path().filename().string(); name.rfind(prefix, 0) == 0)
      names.push_back(name);
  return names;
}

/// Whether this process has begun to write a checkpoint and not yet put it in place.
bool is_saving(const std::string& run, pid_t process) {
  for (const std::string& name : entries(run + "/ckpts", ".t3d-new-"))
    if (name.substr(name.find_last_of('-') + 1) == std::to_string(process)) return true;
  return false;
}

/// Kills the run once for each delay after a save has begun, each time going on from what the last kill left.
void kill_while_saving(const std::string& run, const std::string& start, const std::string& go_on,
                       const std::vector<int>& delays_ms) {
  int n_halves = 0;
  int64_t step = 0;
  for (size_t round = 0; round < delays_ms.size(); ++round) {
    pid_t process = 0;
    const auto is_time = [&](pid_t child) {
      process = child;
      if (round == 0 && entries(run + "/ckpts", "step_").empty()) return false;  // one to fall back on
      if (!is_saving(run, child)) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(delays_ms[round]));
      return true;
    };
    ASSERT_EQ(run_until(round == 0 ? start : go_on, is_time, SIGKILL), 1000 + SIGKILL)
        << "round " << round << " ended before it could be killed";
    n_halves += is_saving(run, process) ? 1 : 0;
    const auto found = train::find_checkpoint(run + "/ckpts/last.ckpt");
    EXPECT_EQ(train::why_not_intact(found.path), "") << "round " << round;
    EXPECT_TRUE(found.skipped.empty()) << "a killed writer leaves no half under a step's name";
    EXPECT_GE(found.step, step) << "round " << round;
    step = found.step;
  }
  EXPECT_GT(n_halves, 0) << "no kill hit a save";
}

class ResumeGenerate : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    const auto whole = run_t3d(generate(whole_run(), kSteps, "checkpoint.every_n_train_steps=1"));
    ASSERT_EQ(whole.exit_code, 0) << whole.output;
  }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }
  static std::string whole_run() { return *folder_ / "whole"; }

  static TemporaryFolder* folder_;
};
TemporaryFolder* ResumeGenerate::folder_ = nullptr;

TEST_F(ResumeGenerate, KilledWhileSavingAgainAndAgainEqualsARunThatWasNeverStopped) {
  const std::string run = *folder_ / "killed", often = "checkpoint.every_n_train_steps=1 ";
  kill_while_saving(run, generate(run, kSteps, often), generate(run, kSteps, often + "--resume"),
                    {0, 3, 8, 16});
  const auto resumed = run_t3d(generate(run, kSteps, often + "--resume"));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.output;
  expect_same_checkpoint(step_folder(whole_run(), kSteps), step_folder(run, kSteps));
  EXPECT_TRUE(entries(run + "/ckpts", ".").empty()) << "the next save removes what kills left";
}

TEST_F(ResumeGenerate, AfterCtrlCItSaysHowToGoOnAndEqualsARunThatWasNeverStopped) {
  const std::string run = *folder_ / "interrupted", log = *folder_ / "interrupted.log";
  const auto has_begun = [&](pid_t) { return !entries(run + "/ckpts", "step_").empty(); };
  ASSERT_EQ(run_until(generate(run, kSteps, "checkpoint.every_n_train_steps=1"), has_begun, SIGINT, log),
            130);
  const std::string said = testing::read_text(log);
  EXPECT_THAT(said,
              ::testing::ContainsRegex("\\[info\\] interrupted: the work up to step [1-6] is saved in "));
  EXPECT_THAT(said, ::testing::Not(HasSubstr("[error]")));
  // The command that it names goes on, as it stands.
  const std::string start = " Go on with: ", program = T3D_PROGRAM;
  const size_t at = said.find(start);
  ASSERT_NE(at, std::string::npos) << said;
  std::string command = said.substr(at + start.size());
  command = command.substr(0, command.find('\n'));
  ASSERT_EQ(command.rfind(program + " generate \"a red cube\"", 0), 0u) << command;
  EXPECT_LT(train::find_checkpoint(run).step, kSteps);
  const auto resumed = run_t3d(command.substr(program.size()));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.output;
  expect_same_checkpoint(step_folder(whole_run(), kSteps), step_folder(run, kSteps));
}

TEST_F(ResumeGenerate, TrainKilledWhileOneCheckpointReplacesAnotherGoesOnToo) {
  constexpr int kFew = 3;
  const std::string run = *folder_ / "trained", whole = *folder_ / "trained_whole";
  const std::string often = "checkpoint.every_n_seconds=0.000001 ", go_on = often + "resume='" + run + "'";
  ASSERT_EQ(run_t3d(train(whole, kFew, "")).exit_code, 0);
  kill_while_saving(run, train(run, kFew, often), train(run, kFew, go_on), {0});
  const auto resumed = run_t3d(train(run, kFew, go_on));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.output;
  expect_same_checkpoint(step_folder(whole, kFew), step_folder(run, kFew));

  // The folder of a run takes no other one.
  const std::pair<std::string, const char*> others[] = {
      {"", "holds a run already"},
      {"resume='" + whole + "'", "holds a run already"},
      {"resume='" + run + "/ckpts/last.ckpt' seed=3", "has seed 0, and what was asked for has 3"},
      {"resume='" + run + "' 'system.prompt_processor.prompt=a blue cube'", "system.prompt_processor.prompt"}};
  for (const auto& [more, expected] : others) {
    const auto refused = run_t3d(train(run, kFew, more));
    EXPECT_EQ(refused.exit_code, 2) << more << refused.output;
    EXPECT_THAT(refused.output, HasSubstr(expected)) << more;
  }
}

/// Files that are no finished result: hidden ones and those of unfinished writes.
std::vector<std::string> halves_below(const std::string& folder) {
  std::vector<std::string> halves;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (const std::string name = entry.path().filename().string();
        name.front() == '.' || entry.path().extension() == ".tmp")
      halves.push_back(entry.path().string());
  return halves;
}

/// The run ended for want of room: said in one sentence, nothing half is left, and `step` is there whole.
void expect_stopped_without_room(const ProgramResult& result, const std::string& run, int step,
                                 const std::string& whole_run) {
  EXPECT_EQ(result.exit_code, 3) << result.output;
  const size_t error = result.output.find("[error] ");
  ASSERT_NE(error, std::string::npos) << result.output;
  const std::string sentence = result.output.substr(error);
  EXPECT_THAT(sentence, HasSubstr(cat(step_folder(run, step + 1), "/tensors.safetensors: writing failed")));
  EXPECT_THAT(sentence, HasSubstr(cat("make room and run again. --resume goes on from step ", step, ".\n")));
  EXPECT_EQ(std::count(sentence.begin(), sentence.end(), '\n'), 1) << sentence;
  EXPECT_TRUE(halves_below(run).empty()) << halves_below(run).front();
  EXPECT_FALSE(fs::exists(step_folder(run, step + 1)));
  EXPECT_EQ(train::find_checkpoint(run).path, step_folder(run, step));
  expect_same_checkpoint(step_folder(whole_run, step), step_folder(run, step));
}

/// A disk in memory that can be made larger; in place only where this process may mount.
class SmallDisk {
 public:
  SmallDisk(const std::string& folder, uintmax_t n_bytes) : folder_(folder) {
    fs::create_directories(folder);
    is_there_ = mount("t3d-test", folder.c_str(), "tmpfs", 0, cat("size=", n_bytes).c_str()) == 0;
    failure_ = errno;
  }
  ~SmallDisk() {
    if (is_there_) umount2(folder_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool is_there() const { return is_there_; }
  std::string why_not() const { return std::strerror(failure_); }
  bool grow(uintmax_t n_bytes) {
    return mount("t3d-test", folder_.c_str(), "tmpfs", MS_REMOUNT, cat("size=", n_bytes).c_str()) == 0;
  }

 private:
  std::string folder_;
  bool is_there_ = false;
  int failure_ = 0;
};

TEST_F(ResumeGenerate, AFullDiskWhileSavingKeepsTheLastCheckpointAndRoomLetsItGoOn) {
  // Room for one checkpoint and the run's small files, not for a second one.
  const auto n_bytes = fs::file_size(step_folder(whole_run(), 1) + "/tensors.safetensors");
  SmallDisk disk(*folder_ / "disk", n_bytes + n_bytes / 2);
  if (!disk.is_there()) GTEST_SKIP() << "a small disk cannot be mounted here: " << disk.why_not();
  const std::string run = *folder_ / "disk/run", often = "checkpoint.every_n_train_steps=1 ";
  expect_stopped_without_room(run_t3d(generate(run, kSteps, often)), run, 1, whole_run());

  ASSERT_TRUE(disk.grow(uintmax_t{1} << 30));
  const auto resumed = run_t3d(generate(run, kSteps, often + "--resume"));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.output;
  expect_same_checkpoint(step_folder(whole_run(), kSteps), step_folder(run, kSteps));
  EXPECT_TRUE(fs::exists(run + "/run.json"));
}

TEST_F(ResumeGenerate, ALimitOnFileSizesWhileSavingIsLikeAFullDisk) {
  constexpr int kStop = 5;
  const std::string run = *folder_ / "limited", often = "checkpoint.every_n_train_steps=1 ";
  fs::create_directories(run + "/ckpts");
  fs::copy(step_folder(whole_run(), kStop), step_folder(run, kStop), fs::copy_options::recursive);
  ASSERT_GT(fs::file_size(step_folder(run, kStop) + "/tensors.safetensors"), 1000u << 10);
  const auto limited = run_t3d(generate(run, kSteps, often + "--resume"), "ulimit -f 1000;");
  expect_stopped_without_room(limited, run, kStop, whole_run());

  const auto resumed = run_t3d(generate(run, kSteps, often + "--resume"));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.output;
  expect_same_checkpoint(step_folder(whole_run(), kSteps), step_folder(run, kSteps));
}

}  // namespace
}  // namespace t3d
