#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "t3d/core/interrupt.h"
#include "t3d/run/step.h"
#include "t3d/system/experiment.h"
#include "t3d/system/optimization.h"
#include "t3d/system/system.h"
#include "t3d/train/metrics.h"

namespace t3d::system {

/// What a fit tells its caller.
struct FitHooks {
  /// After each optimizer step; `done` of them are.
  std::function<void(int64_t done)> after_step;
  /// The rows of metrics as they are logged, before after_step.
  std::function<void(const std::map<std::string, double>&)> on_metrics;
  /// Stop early: true ends the fit as if max_steps were reached.
  std::function<bool(int64_t done)> should_stop;
  /// How the caller's user goes on from a checkpoint: for messages.
  std::string go_on = "resume=RUN";
};

struct FitReport {
  int64_t steps = 0, skipped = 0;      ///< optimizer steps done in all; steps whose gradient was not finite
  double seconds = 0;                  ///< of this process
  std::map<std::string, double> last;  ///< the last row of metrics
};

/// One experiment: a system, its views and its folder. threestudio sections 1.2 to 1.7.
class Run {
 public:
  Run(const Experiment& experiment, const SystemContext& context);

  /// Opens prompt and guidance, makes the optimizers and loads what `resume` and `weights` name. Writes
  /// nothing: what is wrong with the input is found before there is a run folder. fit() does it where nobody
  /// has. With a context that does not read weights, all of that but their numbers is done, which is how
  /// check_experiment finds what training would find; the object cannot be fitted afterwards.
  void prepare_fit();
  /// Optimizes until trainer.max_steps. Goes on from `resume` when it is set. Writes metrics, checkpoints and
  /// validation pictures. A stop that the context's token asks for saves and throws Interrupted.
  ///
  /// A step whose gradient is not finite is skipped and counted. After 20 in a row the newest checkpoint
  /// comes back and learning rates are halved, once; after 20 more UserError. A step that the memory does not
  /// suffice for is taken again with half the rays at once, down to a row of a picture; then the work is
  /// saved and SystemError thrown.
  FitReport fit(const FitHooks& hooks = {});

  /// save/it{step}-{view}.png for every validation view.
  void validate();
  /// save/it{step}-test/{view}.png for every test view, and save/it{step}-test.mp4 where FFmpeg is built in.
  void test();

  /// Loads the checkpoint that `resume` names, for the modes other than training. Without one the step is 0.
  void restore_for_evaluation();

  System& system() { return *system_; }
  data::CameraData& views() { return *views_; }
  int64_t step() const { return step_; }
  std::string save_folder() const;
  const Experiment& experiment() const { return experiment_; }
  /// The caller's token; progress where the caller and trainer.enable_progress_bar have it.
  const RunControl& control() const { return control_; }

 private:
  class FitStep;

  /// Throws SystemError that tells where going on begins.
  void save(run::Keep keep);
  /// Without an optimization, for evaluation, weights and step alone.
  void restore(const std::string& path, Optimization* optimization);
  void check_settings() const;
  /// The shape that the geometry begins with, where its block names one.
  void begin_shape(bool has_weights);
  void write_validation(int64_t n_views);
  /// save/it{step}-train.png.
  void write_guidance_picture(const io::Image8& picture);

  Experiment experiment_;
  TrainerConfig trainer_;
  CheckpointConfig checkpoint_;
  RunControl control_;
  std::unique_ptr<data::CameraData> views_;
  std::unique_ptr<System> system_;
  std::unique_ptr<Optimization> optimization_;  ///< of a run that trains
  std::unique_ptr<train::Metrics> metrics_;
  int64_t step_ = 0, n_skipped_ = 0;
  std::string go_on_;               ///< of the hooks
  std::string passing_checkpoint_;  ///< goes when the next one is there
};

}  // namespace t3d::system
