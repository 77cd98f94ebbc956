#pragma once

#include <cstdint>
#include <string>

#include "t3d/core/error.h"
#include "t3d/core/text.h"

namespace t3d::run {

/// How long a checkpoint stays.
enum class Keep { Always, UntilTheNext };

/// What a training is to the loop that runs it: a step, a row of metrics, a checkpoint. The loop decides
/// when.
class Step {
 public:
  virtual ~Step() = default;

  /// Steps done in all, by this process and by those whose checkpoint it went on from.
  virtual int64_t n_done() const = 0;
  /// Takes the next step. Returns false when its gradient was not finite: then no parameter has changed, and
  /// the step is either skipped or, where n_done() is what it was, tried again; otherwise n_done() is one
  /// more. `is_due`: record() follows.
  virtual bool take(bool is_due) = 0;
  /// Called once after the last step: waits for the device, say.
  virtual void finish() {}
  /// Writes the last step's row of metrics. May wait for the device. Also called where a run ends before it
  /// was expected to, with a step that take() did not know to be due.
  virtual void record() {}
  /// Writes a checkpoint, or what else lets the user see or keep the work so far.
  virtual void save(Keep keep) = 0;
  /// Looks at the work so far: renders views that are not trained on, say.
  virtual void validate() {}
  /// Shown behind the progress; called for every step.
  virtual std::string note() { return ""; }
  /// What save() left, as a clause for the message of Interrupted.
  virtual std::string saved_work() const = 0;
  /// Called when more than Policy::most_bad_in_a_row steps in a row had no finite gradient: goes back to
  /// where they had, or throws UserError that says what to change.
  virtual void recover() {
    throw UserError(cat("step ", n_done(), ": the gradient is not finite. Lower the learning rate."));
  }

 protected:
  /// saved_work() where save() writes checkpoints of this run.
  std::string saved_in(const std::string& run_folder) const {
    return cat("the work up to step ", n_done(), " is saved in ", run_folder, "/ckpts");
  }
};

}  // namespace t3d::run
