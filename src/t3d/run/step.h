#pragma once

#include <cstdint>
#include <string>

#include "t3d/core/error.h"
#include "t3d/core/text.h"

namespace t3d::run {

/// What a training is to the loop that runs it: a step, a row of metrics, a checkpoint. The loop decides
/// when.
class Step {
 public:
  virtual ~Step() = default;

  /// Steps done in all, by this process and by those whose checkpoint it went on from.
  virtual int64_t n_done() const = 0;
  /// Takes the next step, after which n_done() is one more. Returns false when its gradient was not finite:
  /// then nothing has changed. `is_due`: record() follows.
  virtual bool take(bool is_due) = 0;
  /// Called once after the last step, before its row and checkpoint: waits for the device, say.
  virtual void finish() {}
  /// Writes the last step's row of metrics. May wait for the device.
  virtual void record() {}
  /// Writes a checkpoint, or what else lets the user see or keep the work so far.
  virtual void save() = 0;
  /// Shown behind the progress; called for every step.
  virtual std::string note() { return ""; }
  /// What save() left, as a clause for the message of Interrupted.
  virtual std::string saved_work() const = 0;
  /// Called when more than Policy::most_bad_in_a_row steps in a row had no finite gradient: goes back to
  /// where they had, or throws UserError that says what to change.
  virtual void recover() {
    throw UserError(cat("step ", n_done(), ": the gradient is not finite. Lower the learning rate."));
  }
};

}  // namespace t3d::run
