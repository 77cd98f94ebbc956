#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

#include "t3d/io/image.h"
#include "t3d/io/json_file.h"
#include "t3d/math/vec.h"
#include "tests/support/run_program.h"
#include "tests/support/stopped_runs.h"

/// A run that was killed and resumed must end with the same bits as one that was never stopped.
namespace t3d {
namespace {

namespace fs = std::filesystem;
using testing::expect_same_checkpoint;
using ::testing::HasSubstr;
using testing::run_until;
using testing::TemporaryFolder;

/// A few small pictures of a shaded ball, in the NeRF-synthetic layout.
void write_ball(const std::string& folder) {
  constexpr int kSize = 24, kTrain = 6;
  constexpr float kFov = 0.7f, kDistance = 4, kRadius = 1;
  for (const char* split : {"train", "val", "test"}) {
    nlohmann::json frames = nlohmann::json::array();
    const int n_views = split == std::string("train") ? kTrain : 1;
    for (int i = 0; i < n_views; ++i) {
      const float angle = 6.2831853f * (static_cast<float>(i) + (n_views == 1 ? 0.5f : 0)) / kTrain;
      const Vec3f back = Vec3f(std::cos(angle), std::sin(angle), 0.4f).normalized();
      const Vec3f right = Vec3f(0, 0, 1).cross(back).normalized(), up = back.cross(right);
      const Vec3f eye = back * kDistance;
      io::Image8 image(kSize, kSize, 4);
      for (int y = 0; y < kSize; ++y)
        for (int x = 0; x < kSize; ++x) {
          const float scale = std::tan(kFov / 2) * 2 / kSize;
          const Vec3f ray = (right * ((static_cast<float>(x) + 0.5f - kSize / 2) * scale) -
                             up * ((static_cast<float>(y) + 0.5f - kSize / 2) * scale) - back)
                                .normalized();
          const float b = eye.dot(ray), d = b * b - eye.squaredNorm() + kRadius * kRadius;
          if (d < 0) continue;
          const Vec3f normal = eye + ray * (-b - std::sqrt(d));
          for (int c = 0; c < 3; ++c) image.at(x, y)[c] = static_cast<uint8_t>(127 + 120 * normal[c]);
          image.at(x, y)[3] = 255;
        }
      const std::string name = std::string(split) + "/r_" + std::to_string(i);
      io::write_png(folder + "/" + name + ".png", image);
      const auto row = [&](int r) { return nlohmann::json{right[r], up[r], back[r], eye[r]}; };
      frames.push_back(
          {{"file_path", "./" + name}, {"transform_matrix", {row(0), row(1), row(2), {0, 0, 0, 1}}}});
    }
    io::write_json_file(folder + "/transforms_" + split + ".json",
                        {{"camera_angle_x", kFov}, {"frames", frames}});
  }
}

constexpr const char* kOptions =
    " --device cpu --seed 3 --steps 60 --checkpoint-steps 10 --no-mesh --no-video --target-samples 4096 "
    "--levels 4 "
    "--log2-table 12";

std::string command(const std::string& data, const std::string& out, const std::string& more = "") {
  return "reconstruct '" + data + "' -o '" + out + "'" + kOptions + more;
}

/// Until the file or folder is there.
std::function<bool(pid_t)> appears(const std::string& path) {
  return [path](pid_t) { return fs::exists(path); };
}

class Resume : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    write_ball(data());
    const auto whole = testing::run_t3d(command(data(), whole_run()));
    ASSERT_EQ(whole.exit_code, 0) << whole.output;
  }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }
  static std::string data() { return *folder_ / "data"; }
  static std::string whole_run() { return *folder_ / "whole"; }

  static TemporaryFolder* folder_;
};
TemporaryFolder* Resume::folder_ = nullptr;

TEST_F(Resume, AfterKillMinus9EqualsARunThatWasNeverStopped) {
  const std::string out = *folder_ / "killed";
  ASSERT_EQ(run_until(command(data(), out), appears(out + "/ckpts/step_00000020"), SIGKILL), 1000 + SIGKILL);
  ASSERT_FALSE(fs::exists(out + "/ckpts/step_00000060")) << "the run ended before it could be killed";
  const auto resumed = testing::run_t3d(command(data(), out, " --resume"));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.output;
  expect_same_checkpoint(whole_run() + "/ckpts/step_00000060", out + "/ckpts/step_00000060");
}

TEST_F(Resume, AfterCtrlCEqualsARunThatWasNeverStopped) {
  const std::string out = *folder_ / "interrupted";
  ASSERT_EQ(run_until(command(data(), out), appears(out + "/ckpts/step_00000010"), SIGINT), 130);
  const auto resumed = testing::run_t3d(command(data(), out, " --resume"));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.output;
  expect_same_checkpoint(whole_run() + "/ckpts/step_00000060", out + "/ckpts/step_00000060");
}

TEST_F(Resume, SkipsADamagedCheckpointAndSaysSo) {
  const std::string out = *folder_ / "damaged";
  fs::copy(whole_run(), out, fs::copy_options::recursive);
  fs::remove(out + "/ckpts/step_00000060/COMPLETE");
  const auto resumed = testing::run_t3d(command(data(), out, " --resume"));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.output;
  EXPECT_THAT(
      resumed.output,
      HasSubstr("checkpoint step_00000060 is incomplete (no completion mark); resuming from step_00000050."));
  expect_same_checkpoint(whole_run() + "/ckpts/step_00000060", out + "/ckpts/step_00000060");
}

TEST_F(Resume, RefusesAFolderWithoutCheckpointsAndLeavesItAlone) {
  const std::string out = *folder_ / "empty";
  fs::create_directories(out + "/ckpts");
  testing::write_text(out + "/notes.txt", "mine");
  const auto result = testing::run_t3d(command(data(), out, " --resume"));
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.output, HasSubstr("holds no intact checkpoint; found nothing"));
  EXPECT_EQ(testing::read_text(out + "/notes.txt"), "mine");
}

TEST_F(Resume, MetricsGoOnWithoutRepeatingAStep) {
  const std::string out = *folder_ / "metrics";
  ASSERT_EQ(run_until(command(data(), out), appears(out + "/ckpts/step_00000020"), SIGKILL), 1000 + SIGKILL);
  ASSERT_EQ(testing::run_t3d(command(data(), out, " --resume")).exit_code, 0);
  std::vector<std::string> steps;
  std::istringstream lines(testing::read_text(out + "/csv_logs/version_0/metrics.csv"));
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  EXPECT_THAT(line, ::testing::StartsWith("epoch,step,"));
  EXPECT_THAT(line, HasSubstr(",train/psnr"));
  while (std::getline(lines, line)) {
    const auto first = line.find(',');
    steps.push_back(line.substr(first + 1, line.find(',', first + 1) - first - 1));
  }
  // The last row is the test views'.
  EXPECT_THAT(steps, ::testing::ElementsAre("20", "40", "60", "60"));
}

}  // namespace
}  // namespace t3d
