#pragma once

#include <atomic>
#include <memory>
#include <string>

namespace t3d {

/// Asks long work to stop at its next step, with what it has done saved. Copies share one flag, and no other
/// does: whoever starts the work keeps a copy, and may ask from any thread.
class StopToken {
 public:
  StopToken() : flag_(std::make_shared<std::atomic<bool>>(false)) {}

  void request_stop() const { flag_->store(true, std::memory_order_relaxed); }
  /// Cheap: one relaxed load.
  bool stop_requested() const { return flag_->load(std::memory_order_relaxed); }
  /// Throws Interrupted(what_was_saved) once a stop was asked for: a clause such as "nothing was written" or
  /// "the work up to step 12 is saved in RUN/ckpts", to which the command line adds how to go on.
  void throw_if_requested(const std::string& what_was_saved) const;

 private:
  std::shared_ptr<std::atomic<bool>> flag_;
};

/// The command line's token: from the first call on, Ctrl-C (SIGINT) and SIGTERM ask it, and a second one
/// ends the process at once with exit code 130. The handlers stay until exit. Libraries take a token and
/// never call this.
StopToken stop_on_signals();

/// What belongs to one run, and to no other one of the process.
struct RunControl {
  StopToken stop;
  bool shows_progress = true;  ///< on standard error: progress.h
};

}  // namespace t3d
