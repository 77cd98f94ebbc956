#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "t3d/core/error.h"
#include "t3d/core/interrupt.h"
#include "t3d/core/memory_usage.h"
#include "t3d/core/progress.h"
#include "tests/support/temporary_folder.h"

namespace t3d {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

/// Runs `body` in a child process, standard error closed; gives its exit code, or 1000 + signal.
template <class Body>
int exit_code_of(Body&& body) {
  const pid_t child = fork();
  if (child == 0) {
    close(STDERR_FILENO);
    body();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

TEST(StopToken, IsAskedThroughAnyOfItsCopiesAndNoOtherOne) {
  const StopToken token, copy = token, other;
  EXPECT_FALSE(copy.stop_requested());
  EXPECT_NO_THROW(copy.throw_if_requested("nothing yet"));
  token.request_stop();
  EXPECT_TRUE(copy.stop_requested());
  EXPECT_FALSE(other.stop_requested());
  try {
    copy.throw_if_requested("step 7 is saved");
    FAIL() << "did not throw";
  } catch (const Interrupted& stop) {
    EXPECT_EQ(stop.exit_code(), 130);
    EXPECT_STREQ(stop.what(), "step 7 is saved");
  }
}

TEST(StopOnSignals, FirstSignalAsksAndSecondEndsWith130) {
  for (const int signal : {SIGINT, SIGTERM}) {
    EXPECT_EQ(exit_code_of([signal] {
                const StopToken token = stop_on_signals();
                if (token.stop_requested()) _exit(7);
                raise(signal);
                _exit(token.stop_requested() ? 42 : 8);
              }),
              42);
    EXPECT_EQ(exit_code_of([signal] {
                stop_on_signals();
                raise(signal);
                raise(SIGINT);
                _exit(9);
              }),
              130);
  }
}

TEST(StopOnSignals, IsOneTokenForTheProcessAndAsksNoOtherOne) {
  EXPECT_EQ(
      exit_code_of([] {
        const StopToken first = stop_on_signals(), own;
        raise(SIGINT);
        _exit(first.stop_requested() && stop_on_signals().stop_requested() && !own.stop_requested() ? 42 : 8);
      }),
      42);
}

TEST(StopOnSignals, LeavesSignalsAloneUntilItIsCalled) {
  EXPECT_EQ(exit_code_of([] {
              const StopToken own;
              raise(SIGTERM);
            }),
            1000 + SIGTERM);
}

TEST(MemoryUsage, SeesALargeAllocation) {
  const size_t before = current_rss_bytes();
  ASSERT_GT(before, size_t{1} << 20);
  std::vector<char> block(size_t{64} << 20, 1);
  EXPECT_GT(current_rss_bytes(), before + (size_t{60} << 20));
  EXPECT_GE(peak_rss_bytes(), before + (size_t{60} << 20));
  EXPECT_EQ(block.back(), 1);
}

class ProgressOutput : public ::testing::Test {
 protected:
  Progress::Output output(bool is_terminal) {
    return {file_, is_terminal, [this] { return now_s_; }, [this] { return columns_; }};
  }
  std::string text() {
    std::fflush(file_);
    return testing::read_text(path_);
  }

  testing::TemporaryFolder folder_;
  std::string path_ = folder_ / "out";
  std::FILE* file_ = std::fopen(path_.c_str(), "w");
  double now_s_ = 100;
  int columns_ = 0;
};

TEST(Progress, DrawsNothingWhereItIsHidden) {
  for (const bool is_shown : {false, true}) {
    ::testing::internal::CaptureStderr();
    {
      Progress progress("train", 2, is_shown);
      progress.update(1);
      progress.finish("done");
    }
    EXPECT_EQ(::testing::internal::GetCapturedStderr().empty(), !is_shown);
  }
}

TEST_F(ProgressOutput, ShowsRateTimeLeftMemoryAndNote) {
  const Progress progress("train", 4000, output(true));
  const std::string line = progress.line(1000, "psnr 31.2", 4.0);
  EXPECT_THAT(line, StartsWith("train  1000/4000  25%  250/s  12.0s left  "));
  EXPECT_THAT(line, HasSubstr("MiB"));
  EXPECT_THAT(line, ::testing::EndsWith("  psnr 31.2"));
}

TEST_F(ProgressOutput, DoesNotCountResumedStepsForTheRate) {
  Progress progress("train", 2000, output(true));
  progress.start_at(1000);
  EXPECT_THAT(progress.line(1100, "", 1.0), StartsWith("train  1100/2000  55%  100/s  9.0s left"));
}

TEST_F(ProgressOutput, PrintsPlainLinesEveryFewSecondsInAPipe) {
  Progress progress("render", 100, output(false));
  for (int i = 0; i <= 100; ++i) {
    progress.update(i);
    now_s_ += 0.125;
  }
  progress.finish("done");
  const std::string lines = text();
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 3) << lines;
  EXPECT_EQ(lines.find('\r'), std::string::npos);
  EXPECT_THAT(lines, HasSubstr("  done\n"));
}

TEST_F(ProgressOutput, RedrawsOneLiveLineOnATerminal) {
  {
    Progress progress("render", 100, output(true));
    for (int i = 0; i < 50; ++i, now_s_ += 0.05) progress.update(i);
  }
  const std::string lines = text();
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 1) << "the destructor ends the line";
  EXPECT_GE(std::count(lines.begin(), lines.end(), '\r'), 20);
}

TEST_F(ProgressOutput, TheLastLineOfAPipeComesOnce) {
  Progress progress("render", 100, output(false));
  now_s_ += 60;  // a line is due
  progress.update(100, "loss 0.5");
  progress.finish("loss 0.5");
  const std::string lines = text();
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 1) << lines;
  EXPECT_THAT(lines, StartsWith("render  100/100  100%"));
}

TEST_F(ProgressOutput, ATotalMayBeKnownOnlyAfterTheStart) {
  Progress progress("sample", 0, output(false));
  progress.set_total(25);
  EXPECT_THAT(progress.line(5, "", 1.0), StartsWith("sample  5/25  20%  5.00/s  4.0s left"));
}

TEST_F(ProgressOutput, ALiveLineIsCutToTheWindowThatThereIsNow) {
  Progress progress("train", 100, output(true));
  const auto draw = [&](int64_t done, int columns) {
    columns_ = columns;
    now_s_ += 1;
    const size_t before = text().size();
    progress.update(done, "a note with \u00e4 and \u00f6 that is a good deal too long for a narrow window");
    const std::string drawn = text().substr(before);
    return drawn.substr(1, drawn.size() - 1 - std::string("\x1b[K").size());  // without \r and the end
  };
  EXPECT_EQ(draw(1, 20).size(), 19u);
  EXPECT_EQ(draw(2, 40).size(), 39u);
  EXPECT_GT(draw(3, 0).size(), 100u);
  EXPECT_EQ(draw(4, 1), "");
  // Letters of two bytes are cut whole, and count once.
  const std::string whole = draw(5, 0);
  for (int columns = 40; columns < 90; ++columns) {
    const std::string cut = draw(5, columns);
    EXPECT_EQ(std::count_if(cut.begin(), cut.end(), [](char c) { return (c & 0xc0) != 0x80; }), columns - 1);
    EXPECT_NE(static_cast<unsigned char>(cut.back()), 0xc3) << "half a letter";
  }
}

TEST_F(ProgressOutput, ShowsDeviceMemoryOnlyWhenThereIsSome) {
  Progress progress("x", 0, output(false));
  progress.show_device_memory([] { return size_t{0}; });
  EXPECT_THAT(progress.line(1, "", 1.0), ::testing::Not(HasSubstr("device")));
  progress.show_device_memory([] { return size_t{3} << 30; });
  EXPECT_THAT(progress.line(1, "", 1.0), HasSubstr("GiB on the device"));
}

}  // namespace
}  // namespace t3d
