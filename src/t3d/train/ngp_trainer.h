#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "t3d/core/interrupt.h"
#include "t3d/data/posed_images.h"
#include "t3d/optim/learning_rate.h"
#include "t3d/train/ngp_stepper.h"

namespace t3d::train {

/// When training ends: at the first of these that is met. 0: not used.
struct NgpStop {
  int64_t steps = 0;
  double seconds = 0;              ///< since `started`, with what the work after training will take left over
  double least_train_share = 0.6;  ///< of `seconds` that is left to training whatever the work after it takes
  double least_after_seconds = 0;  ///< of `seconds` that are left to the work after training whatever happens
  double train_seconds = 0;        ///< of training alone, whatever comes before and after
  double target_psnr = 0;          ///< on the validation views, or on up to 4 test views where there are none
  size_t max_memory_bytes = 0;     ///< resident memory at which training stops with SystemError, work saved
};

struct NgpTrainOptions {
  NgpStop stop;
  std::string run_folder;           ///< checkpoints go to run_folder/ckpts
  double checkpoint_seconds = 300;  ///< between checkpoints; one more at the end
  int64_t checkpoint_steps = 0;     ///< between checkpoints; 0: by time
  int64_t eval_every =
      0;  ///< steps between measurements on the validation views; 0: never, unless a target asks
  /// Seconds that the work after training will take; asked for at 20, 40, 60 and 80 % of the time budget.
  std::function<double()> estimate_rest;
  RunControl control;
  double started = 0;  ///< monotonic seconds at which the budget began, see now_s() of core/clock.h
};

struct NgpViewScore {
  std::string name;
  double psnr = 0, ssim = 0;
};

/// A view beside its truth.
struct NgpTestView {
  NgpView rendered;
  io::ImageF truth;  ///< over the evaluation background, grey where the mask hides it
  io::Image8 mask;   ///< data::View::mask
  NgpViewScore score;
};

class Metrics;

/// Trains a field: schedule, checkpoints, interruption. Everything random comes from the stepper's state, so
/// that a run of N steps, a stop, and M more equal N+M steps bit for bit on the CPU when `stop.steps` bounds
/// both.
class NgpTrainer {
 public:
  /// Called after each step with the steps done; may record metrics.
  using OnStep = std::function<void(int64_t step, NgpStepper&)>;

  NgpTrainer(const data::PosedImages& images, const field::NgpConfig& config, NgpTrainOptions options,
             NgpStepper& stepper)
      : images_(images),
        config_(config),
        learning_rate_(optim::LearningRate::hold_decay(config.final_learning_rate / config.learning_rate)),
        options_(std::move(options)),
        stepper_(stepper) {}

  /// Goes on from the checkpoint at `path` (see find_checkpoint). Throws UserError when it belongs to another
  /// run.
  void resume(const std::string& path);
  /// Where train() records loss, PSNR and rate; flushed before each checkpoint.
  void set_metrics(Metrics* metrics) { metrics_ = metrics; }
  /// Returns the seconds spent training. Throws Interrupted once a stop was asked for and the work is saved.
  double train(const OnStep& on_step);
  void save();

  void set_estimate(std::function<double()> estimate) { options_.estimate_rest = std::move(estimate); }

  NgpTestView evaluate(const data::View& view);
  /// The part of evaluate() after rendering; may run on any thread.
  NgpTestView score(const data::View& view, NgpView rendered) const;
  /// White for images with alpha, the backdrop of opaque ones that have one, black for other photographs.
  Vec3f background() const {
    if (images_.has_alpha) return Vec3f::Ones();
    return images_.backdrop.value_or(Vec3f(Vec3f::Zero()));
  }

 private:
  class LoopStep;

  double progress(int64_t step, double now) const;
  double measure_target();
  /// Saves and throws SystemError when more memory is resident than the run may use.
  void check_memory(int64_t step);
  /// Measures where it is due; true when the target is met.
  bool reaches_target(int64_t step);
  void record(int64_t step, double learning_rate);
  bool reached_end(int64_t step, double now) const;

  double budget_end() const;
  void estimate_reserve(double now);

  const data::PosedImages& images_;
  const field::NgpConfig& config_;
  optim::LearningRate learning_rate_;
  double train_begin_ = 0;
  double reserve_ = 0;  // seconds of the budget that the work after training will take
  int n_estimates_ = 0;
  NgpTrainOptions options_;
  NgpStepper& stepper_;
  Metrics* metrics_ = nullptr;
};

}  // namespace t3d::train
