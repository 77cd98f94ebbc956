// Several runs of one process: what belongs to one leaves the others as they are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "t3d/core/error.h"
#include "t3d/core/interrupt.h"
#include "tests/support/small_run.h"

namespace t3d::system {
namespace {

using OneRun = Run;  // gtest has a Run, too
using testing::context;
using testing::expect_equal;
using ::testing::HasSubstr;
using testing::RunTest;
using testing::with;

/// On a thread of its own, as the runs that it is compared with: each has as many workers then.
template <class Body>
void on_a_thread(const Body& body) {
  std::thread(body).join();
}

TEST_F(RunTest, OneThatIsStoppedLeavesTheOthersOfTheProcessAsTheyAre) {
  on_a_thread([&] { EXPECT_EQ(OneRun(experiment({}, "alone"), context()).fit().steps, 20); });

  SystemContext stoppable = context();
  std::string said;
  std::thread stopped([&] {
    OneRun run(experiment({"seed=7", "trainer.max_steps=1000"}, "stopped"), stoppable);
    FitHooks hooks;
    hooks.after_step = [&](int64_t done) {
      if (done == 5) stoppable.control.stop.request_stop();
    };
    try {
      run.fit(hooks);
    } catch (const Interrupted& stop) {
      said = stop.what();
    }
  });
  std::thread beside([&] { EXPECT_EQ(OneRun(experiment({}, "beside"), context()).fit().steps, 20); });
  stopped.join();
  beside.join();
  on_a_thread([&] { EXPECT_EQ(OneRun(experiment({}, "after"), context()).fit().steps, 20); });

  EXPECT_THAT(said, HasSubstr("the work up to step 5 is saved in "));
  EXPECT_EQ(train::find_checkpoint(folder_ + "/stopped").step, 5);
  expect_equal(last("beside"), last("alone"));
  expect_equal(last("after"), last("alone"));
}

TEST_F(RunTest, ItsProgressIsShownWhateverTheRunBeforeItShowed) {
  const auto shown_by = [this](const std::string& name, bool is_shown) {
    const std::string recipe =
        is_shown ? with("enable_progress_bar: false", "enable_progress_bar: true") : testing::kRecipe;
    ::testing::internal::CaptureStderr();
    OneRun(experiment({"trainer.max_steps=1"}, name, recipe), context()).fit();
    return ::testing::internal::GetCapturedStderr();
  };
  EXPECT_EQ(shown_by("a", false), "");
  EXPECT_THAT(shown_by("b", true), HasSubstr("train  1/1"));
  EXPECT_EQ(shown_by("c", false), "");
}

}  // namespace
}  // namespace t3d::system
