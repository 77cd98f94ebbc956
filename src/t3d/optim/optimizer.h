#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "t3d/core/config/node.h"

namespace t3d::optim {

/// Leaf tensors that share their options: an entry of `system.optimizer.params`.
struct ParameterGroup {
  std::string name;                           ///< the dotted name it was asked for by
  std::map<std::string, at::Tensor> tensors;  ///< by their checkpoint names; may be empty
  config::Node options;                       ///< over `system.optimizer.args`
};

/// Moves parameters by the gradients that backward() left in them: threestudio's system.optimizer.
class Optimizer {
 public:
  virtual ~Optimizer() = default;

  /// One step of every group; parameters without a gradient stay. The learning rate of group g is its own
  /// times factors[g]. Steps are counted from 1 by the caller.
  virtual void step(int64_t step, const std::vector<double>& factors) = 0;

  /// The learning rates of the groups, before any schedule.
  virtual std::vector<double> learning_rates() const = 0;
  const std::vector<ParameterGroup>& groups() const { return groups_; }
  void clear_gradients();
  /// The gradients by parameter, which has none then.
  std::map<std::string, at::Tensor> take_gradients();
  /// Adds what take_gradients() gave.
  void add_gradients(const std::map<std::string, at::Tensor>& gradients);
  /// Euclidean length of all gradients together, a double without a graph on the parameters' device; not
  /// finite when one of them is not.
  at::Tensor gradient_norm() const;
  /// Name of the first parameter whose gradient is not finite; empty: there is none. Waits for the device.
  std::string first_bad_gradient() const;
  /// All gradients times `factor`.
  void scale_gradients(double factor);

  /// Moments by "name.m" and so on: what a checkpoint keeps. The tensors are shared.
  const std::map<std::string, at::Tensor>& state() const { return moments_; }
  /// Takes copies of what state() gave. Throws UserError for a moment whose shape is not its parameter's.
  void restore(const std::map<std::string, at::Tensor>& state);

 protected:
  explicit Optimizer(std::vector<ParameterGroup> groups) : groups_(std::move(groups)) {}
  /// The moment `what` of a parameter, zeros at first.
  at::Tensor& moment(const std::string& name, const char* what, const at::Tensor& like);

  std::vector<ParameterGroup> groups_;

 private:
  std::map<std::string, at::Tensor> moments_;
};

}  // namespace t3d::optim
