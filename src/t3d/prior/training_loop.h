#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "t3d/core/config/fields.h"
#include "t3d/core/interrupt.h"
#include "t3d/distributed/process_group.h"
#include "t3d/optim/averaged_adamw.h"

namespace t3d::prior {

/// The options that the training of every part has.
struct LoopConfig {
  int batch = 32, steps = 12000, warmup = 200, checkpoint_every = 1000;
  float learning_rate = 1e-3f, final_rate_share = 0.02f, weight_decay = 0, ema_decay = 0.999f;
  uint64_t seed = 0;

  template <class V>
  void visit_loop(V& v) {
    using namespace config;
    v("batch", batch, in_range(1, 65536), "pictures a step, of all processes together");
    v("steps", steps, in_range(1, 100000000), "optimizer steps in all");
    v("warmup", warmup, in_range(0, 1000000), "steps until the full learning rate");
    v("learning_rate", learning_rate, positive(), "largest");
    v("final_rate_share", final_rate_share, in_range(0.0, 1.0),
      "of the learning rate, to which it falls by a cosine; 1: it stays");
    v("weight_decay", weight_decay, non_negative(), "AdamW's");
    v("ema_decay", ema_decay, in_range(0.0, 1.0), "of the average that is written");
    v("checkpoint_every", checkpoint_every, in_range(1, 1000000), "steps");
    v("seed", seed, any(), "of weights, order and noise");
  }
};

struct TrainingRun {
  std::string folder;
  bool resume = false;
  double time_limit = 0;  ///< seconds, after which the run is saved and left; 0: none
  c10::Device device = c10::kCPU;
  RunControl control;
  std::shared_ptr<distributed::ProcessGroup> group = distributed::single_process();
};

struct LoopReport {
  bool finished = false;  ///< all steps done; otherwise resume goes on
  int64_t steps = 0;
};

/// The pictures of each process. Throws UserError when the batch cannot be divided evenly.
int64_t batch_share(const LoopConfig& config, int n_processes);
int64_t batch_share(const LoopConfig& config, const TrainingRun& run);

/// The loss of this process's share of a batch, a scalar; one that needs no gradient has run backward()
/// already. `draw` is a different number at every call of a run, in every process, from which everything
/// random has to come: also a step that is tried again after a gradient that was not finite. With N
/// processes, step s has the draws N s to N s + N - 1.
using LossOf = std::function<at::Tensor(int64_t draw)>;

/// Optimizes until all steps are done or the time is up. Checkpoints under FOLDER/ckpts, metrics in FOLDER.
/// A stop that is asked for saves and throws Interrupted. `kind` and `settings` are kept in the
/// checkpoint: resuming with others throws UserError, but for the number of steps, so that a run can be made
/// longer. On the CPU a resumed run gives the same bits.
///
/// With several processes the gradients are averaged, the first process alone writes, and all leave at the
/// same step; then the group is closed.
LoopReport run_training(const std::string& kind, const std::string& settings, const LoopConfig& config,
                        const TrainingRun& run, optim::AveragedAdamW& adam, const LossOf& loss_of);

}  // namespace t3d::prior
