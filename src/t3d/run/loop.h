#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "t3d/core/interrupt.h"
#include "t3d/distributed/process_group.h"
#include "t3d/run/step.h"

namespace t3d::run {

/// When a run ends, and what happens between its steps.
struct Policy {
  std::string label = "train";     ///< of the progress
  int64_t n_steps = 0;             ///< in all; 0: until should_stop or the time limit
  double time_limit_s = 0;         ///< of this process, after which the run is saved and left; 0: none
  int64_t record_every = 0;        ///< steps between rows of metrics; 0: only the last step has one
  bool records_first = false;      ///< step 1 has a row, too
  int64_t save_every = 0;          ///< steps between checkpoints that stay; 0: not by steps
  double save_every_s = 0;         ///< seconds between those that the next one may replace; 0: not by time
  bool saves_at_end = true;        ///< unless the last step has a checkpoint already
  int64_t validate_every = 0;      ///< steps between calls of Step::validate(), after the checkpoint; 0: none
  int64_t most_bad_in_a_row = 20;  ///< steps without a finite gradient, then Step::recover()
  std::function<bool(int64_t done)> should_stop;  ///< true ends the run as n_steps does
  std::function<void(int64_t done)> after_step;   ///< may throw
  std::function<size_t()> device_bytes;           ///< shown with the progress
  RunControl control;                             ///< stops the run, and hides its progress
  /// Processes that take every step together; the first one's clock decides, and any one's interruption.
  std::shared_ptr<distributed::ProcessGroup> group = distributed::single_process();
  c10::Device device = c10::kCPU;  ///< of the group's messages
};

struct Report {
  bool is_finished = false;  ///< all steps done; otherwise the run can go on
  int64_t n_done = 0;        ///< steps in all
};

/// The one loop that trainings run in: takes steps until the policy says stop, and in between keeps the
/// rhythm of metrics and checkpoints, shows the progress, and listens for an interruption.
class Loop {
 public:
  Loop(Step& step, Policy policy);

  /// Returns when the steps are done or the time is up, with the last step recorded and saved and the group
  /// closed. Throws Interrupted after that when a stop was requested, and whatever the step throws.
  Report run();

 private:
  bool is_end(int64_t done) const;
  void record();
  void save(Keep keep);
  void save_if_due();
  void recover();

  Step& step_;
  Policy policy_;
  int64_t recorded_at_ = 0, saved_at_ = -1;  ///< steps
  double saved_at_s_ = 0;
};

}  // namespace t3d::run
