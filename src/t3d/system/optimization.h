#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "t3d/optim/learning_rate.h"
#include "t3d/optim/make_optimizer.h"
#include "t3d/system/saved_weights.h"
#include "t3d/system/system.h"
#include "t3d/train/checkpoint.h"

namespace t3d::system {

/// What moves a system's parameters: an optimizer for the scene, another one for what the renderer learns by
/// itself (render::OwnLearning) where there is such a thing, and how their learning rates follow the run.
class Optimization {
 public:
  /// The system's guidance is open, for it may learn, too. Throws UserError for a group of parameters that
  /// names none.
  explicit Optimization(const System& system);

  /// Gradients by parameter.
  struct Gradients {
    NamedTensors scene, own;
  };
  /// After it no parameter has a gradient.
  Gradients take_gradients();
  void add_gradients(const Gradients& gradients);
  void clear_gradients();
  /// Lengths of all gradients together, doubles on the device.
  at::Tensor gradient_norm() const;
  /// Undefined where the renderer learns nothing by itself.
  at::Tensor own_gradient_norm() const;
  /// Name of the first parameter of the scene whose gradient is not finite. Waits for the device.
  std::string first_bad_gradient() const;

  /// Moves the scene by its gradients, of this length together, shortened to `longest`. Returns the learning
  /// rates by group.
  std::map<std::string, double> step(int64_t step, double gradient_norm, std::optional<double> longest);
  /// Moves what the renderer learns by itself, where the batch left it a gradient that is finite, and clears
  /// that.
  void step_own(int64_t step, double gradient_norm);

  /// Over the scene's learning rates; kept in checkpoints.
  double rate_factor() const { return rate_factor_; }
  void set_rate_factor(double factor) { rate_factor_ = factor; }

  /// Adds the moments, and counts to the state.
  void add_to(train::Checkpoint& checkpoint) const;
  /// What add_to() gave. Of a foreign file only the step counts. Throws UserError for moments of other
  /// shapes.
  void restore(const SavedWeights& saved);

 private:
  std::unique_ptr<optim::Optimizer> scene_, own_;  // own_: null where the renderer learns nothing by itself
  optim::LearningRate rate_, own_rate_;
  int64_t n_updates_ = 0, n_own_updates_ = 0;
  double rate_factor_ = 1;
};

}  // namespace t3d::system
