#include "t3d/run/loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "t3d/core/error.h"

namespace t3d::run {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Counts, and notes what the loop asks for: "7" for a step, "7?" for one without a finite gradient, "row 7",
/// "save 7", "pass 7" for a checkpoint that the next one may replace, "look 7" for a validation, "back".
class Counter : public Step {
 public:
  explicit Counter(int64_t n_done = 0) : n_done_(n_done) {}

  int64_t n_done() const override { return n_done_; }
  bool take(bool is_due) override {
    was_due_.push_back(is_due);
    if (bad_ > 0 && n_done_ + 1 == bad_at_) {
      --bad_;
      did.push_back(cat(n_done_ + 1, "?"));
      if (skips_) ++n_done_, ++bad_at_;
      return false;
    }
    did.push_back(cat(++n_done_));
    return true;
  }
  void record() override { did.push_back(cat("row ", n_done_)); }
  void save(Keep keep) override { did.push_back(cat(keep == Keep::Always ? "save " : "pass ", n_done_)); }
  void validate() override { did.push_back(cat("look ", n_done_)); }
  std::string saved_work() const override { return cat("saved ", n_done_); }
  void recover() override {
    if (gives_up_) throw UserError("too many");
    did.push_back("back");
    n_done_ = 1;
    bad_ = 0;
  }

  std::vector<std::string> did;
  std::vector<bool> was_due_;
  int64_t n_done_, bad_at_ = 0, bad_ = 0;
  bool gives_up_ = true, skips_ = false;
};

TEST(Loop, KeepsTheRhythmOfRowsAndCheckpoints) {
  Counter step;
  Policy policy;
  policy.n_steps = 5;
  policy.record_every = 2;
  policy.records_first = true;
  policy.save_every = 3;
  const Report report = Loop(step, policy).run();
  EXPECT_TRUE(report.is_finished);
  EXPECT_EQ(report.n_done, 5);
  EXPECT_THAT(step.did,
              ElementsAre("1", "row 1", "2", "row 2", "3", "save 3", "4", "row 4", "5", "row 5", "save 5"));
  EXPECT_THAT(step.was_due_, ElementsAre(true, true, false, true, true));
}

TEST(Loop, TheLastStepIsSavedOnce) {
  Counter step;
  Policy policy;
  policy.n_steps = 4;
  policy.save_every = 2;
  Loop(step, policy).run();
  EXPECT_THAT(step.did, ElementsAre("1", "2", "save 2", "3", "4", "row 4", "save 4"));
}

TEST(Loop, CheckpointsByTimeMayBeReplacedAndThoseByStepsNot) {
  Counter step;
  Policy policy;
  policy.n_steps = 4;
  policy.save_every = 2;
  policy.save_every_s = 1e-9;  // has always passed
  Loop(step, policy).run();
  EXPECT_THAT(step.did, ElementsAre("1", "pass 1", "2", "save 2", "3", "pass 3", "4", "row 4", "save 4"));
}

TEST(Loop, ValidationsFollowTheCheckpoint) {
  Counter step(1);
  Policy policy;
  policy.n_steps = 6;
  policy.save_every = 4;
  policy.validate_every = 2;
  Loop(step, policy).run();
  EXPECT_THAT(step.did, ElementsAre("2", "look 2", "3", "4", "save 4", "look 4", "5", "6", "row 6", "look 6",
                                    "save 6"));
}

TEST(Loop, AFinishedRunIsLeftAsItIs) {
  Counter step(4);
  Policy policy;
  policy.n_steps = 4;
  policy.saves_at_end = false;
  EXPECT_TRUE(Loop(step, policy).run().is_finished);
  EXPECT_THAT(step.did, ElementsAre());
}

TEST(Loop, AnInterruptionSavesAndSaysWhatIsSaved) {
  Counter step;
  Policy policy;
  policy.after_step = [&](int64_t done) {
    if (done == 2) policy.control.stop.request_stop();
  };
  try {
    Loop(step, policy).run();
    FAIL() << "nothing was thrown";
  } catch (const Interrupted& e) {
    EXPECT_THAT(e.what(), HasSubstr("saved 2"));
  }
  EXPECT_THAT(step.did, ElementsAre("1", "2", "row 2", "save 2"));
}

TEST(Loop, ARunOfItsOwnTokenIsNotStoppedByAnother) {
  Counter stopped, other;
  Policy policy;
  policy.n_steps = 3;
  policy.control.stop.request_stop();
  EXPECT_THROW(Loop(stopped, policy).run(), Interrupted);
  policy.control = {};
  EXPECT_TRUE(Loop(other, policy).run().is_finished);
  EXPECT_EQ(stopped.n_done(), 0);
}

TEST(Loop, TheTimeLimitLeavesARunThatCanGoOn) {
  Counter step;
  Policy policy;
  policy.n_steps = 1000000000;
  policy.time_limit_s = 1e-3;
  const Report report = Loop(step, policy).run();
  EXPECT_FALSE(report.is_finished);
  EXPECT_EQ(step.did.back(), cat("save ", report.n_done));
}

TEST(Loop, ShouldStopEndsARunAsItsStepsDo) {
  Counter step;
  Policy policy;
  policy.should_stop = [](int64_t done) { return done >= 2; };
  std::vector<int64_t> seen;
  policy.after_step = [&](int64_t done) { seen.push_back(done); };
  EXPECT_TRUE(Loop(step, policy).run().is_finished);
  EXPECT_THAT(seen, ElementsAre(1, 2));
  EXPECT_THAT(step.was_due_, ElementsAre(false, true));
}

TEST(Loop, BadStepsAreTriedAgainUntilTheyAreTooMany) {
  Counter step;
  step.bad_at_ = 2, step.bad_ = 3;
  Policy policy;
  policy.n_steps = 2;
  policy.most_bad_in_a_row = 3;
  policy.saves_at_end = false;
  Loop(step, policy).run();
  EXPECT_THAT(step.did, ElementsAre("1", "2?", "2?", "2?", "2", "row 2"));

  Counter hopeless;
  hopeless.bad_at_ = 2, hopeless.bad_ = 1000;
  EXPECT_THROW(Loop(hopeless, policy).run(), UserError);
  EXPECT_EQ(hopeless.did.size(), 5u);

  Counter back(4);
  back.bad_at_ = 6, back.bad_ = 4, back.gives_up_ = false;
  policy.n_steps = 6;
  Loop(back, policy).run();
  EXPECT_THAT(back.did, ElementsAre("5", "6?", "6?", "6?", "6?", "back", "2", "3", "4", "5", "6", "row 6"));
}

TEST(Loop, BadStepsThatAreSkippedCountAsDone) {
  Counter step;
  step.bad_at_ = 2, step.bad_ = 3, step.skips_ = true;
  Policy policy;
  policy.n_steps = 6;
  policy.record_every = 2;
  policy.save_every = 3;
  policy.most_bad_in_a_row = 3;
  std::vector<int64_t> seen;
  policy.after_step = [&](int64_t done) { seen.push_back(done); };
  Loop(step, policy).run();
  EXPECT_THAT(step.did,
              ElementsAre("1", "2?", "row 2", "3?", "save 3", "4?", "row 4", "5", "6", "row 6", "save 6"));
  EXPECT_THAT(seen, ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(Loop, TheCheckpointGoneBackToIsWrittenAgainAndRowsBeginAnew) {
  Counter step;
  step.bad_at_ = 3, step.bad_ = 2, step.skips_ = true, step.gives_up_ = false;
  Policy policy;
  policy.n_steps = 3;
  policy.record_every = 3;
  policy.save_every = 1;
  policy.most_bad_in_a_row = 0;
  Loop(step, policy).run();
  EXPECT_THAT(step.did, ElementsAre("1", "save 1", "2", "save 2", "3?", "back", "save 1", "2", "save 2", "3",
                                    "row 3", "save 3"));
}

}  // namespace
}  // namespace t3d::run
