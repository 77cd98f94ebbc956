#include "t3d/run/loop.h"

#include <ATen/ATen.h>

#include <utility>

#include "t3d/core/clock.h"
#include "t3d/core/error.h"
#include "t3d/core/progress.h"

namespace t3d::run {
namespace {

constexpr int64_t kAskEvery = 10;

/// Whether to leave before the last step: the same answer in all processes, which ask each other at every
/// tenth call, for that costs a message.
class StopSign {
 public:
  explicit StopSign(const Policy& policy) : policy_(policy), began_s_(now_s()) {}

  void ask() {
    distributed::ProcessGroup& group = *policy_.group;
    const bool is_late = policy_.time_limit_s > 0 && now_s() - began_s_ > policy_.time_limit_s;
    double time_is_up = group.is_first() && is_late ? 1 : 0,
           interrupted = policy_.control.stop.stop_requested() ? 1 : 0;
    if (group.size() > 1) {
      if (n_calls_++ % kAskEvery != 0) return;
      auto flags = at::tensor({time_is_up, interrupted}, at::kFloat).to(policy_.device);
      group.average(flags);
      flags = flags.cpu();
      time_is_up = flags[0].item<double>();
      interrupted = flags[1].item<double>();
    }
    time_is_up_ = time_is_up > 0;
    interrupted_ = interrupted > 0;
  }
  bool time_is_up() const { return time_is_up_; }
  bool interrupted() const { return interrupted_; }

 private:
  const Policy& policy_;
  double began_s_;
  int64_t n_calls_ = 0;
  bool time_is_up_ = false, interrupted_ = false;
};

}  // namespace

Loop::Loop(Step& step, Policy policy) : step_(step), policy_(std::move(policy)) {
  T3D_CHECK(policy_.group != nullptr, "a loop needs a group, if only of one process");
}

bool Loop::is_end(int64_t done) const {
  return (policy_.n_steps > 0 && done >= policy_.n_steps) ||
         (policy_.should_stop && policy_.should_stop(done));
}

void Loop::record() {
  if (recorded_at_ == step_.n_done()) return;
  recorded_at_ = step_.n_done();
  step_.record();
}

void Loop::save(Keep keep) {
  step_.save(keep);
  saved_at_ = step_.n_done();
  saved_at_s_ = now_s();
}

void Loop::save_if_due() {
  if (policy_.save_every > 0 && step_.n_done() % policy_.save_every == 0)
    save(Keep::Always);
  else if (policy_.save_every_s > 0 && now_s() - saved_at_s_ > policy_.save_every_s)
    save(Keep::UntilTheNext);
}

void Loop::recover() {
  step_.recover();
  // What is recorded and saved from here on is not what these steps had.
  recorded_at_ = step_.n_done();
  saved_at_ = -1;
  // The checkpoint that it went back to is to have what else has changed: a lower learning rate, say.
  save_if_due();
}

Report Loop::run() {
  recorded_at_ = step_.n_done();
  saved_at_s_ = now_s();
  Progress progress(policy_.label, policy_.n_steps, policy_.control.shows_progress);
  if (policy_.device_bytes) progress.show_device_memory(policy_.device_bytes);
  progress.start_at(step_.n_done());
  StopSign stop(policy_);
  int64_t n_bad_in_a_row = 0;
  while (!is_end(step_.n_done())) {
    stop.ask();
    if (stop.time_is_up()) break;
    if (stop.interrupted()) {
      record();
      save(Keep::Always);
      policy_.group->close();
      throw Interrupted(step_.saved_work());
    }
    const int64_t next = step_.n_done() + 1;
    const bool is_due = (policy_.record_every > 0 && next % policy_.record_every == 0) ||
                        (policy_.records_first && next == 1) || is_end(next);
    if (step_.take(is_due)) {
      n_bad_in_a_row = 0;
    } else if (++n_bad_in_a_row > policy_.most_bad_in_a_row) {
      recover();
      n_bad_in_a_row = 0;
      continue;
    }
    if (step_.n_done() != next) continue;  // it is tried again
    if (is_due) record();
    progress.update(next, step_.note());
    if (policy_.after_step) policy_.after_step(next);
    save_if_due();
    if (policy_.validate_every > 0 && next % policy_.validate_every == 0) step_.validate();
  }
  step_.finish();
  record();
  progress.finish(step_.note());
  if (policy_.saves_at_end && saved_at_ != step_.n_done()) save(Keep::Always);
  policy_.group->close();
  return {is_end(step_.n_done()), step_.n_done()};
}

}  // namespace t3d::run
