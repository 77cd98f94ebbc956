#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

namespace t3d::prior {

/// AdamW over many tensors at once, with clipped gradients and an exponential moving average of the weights.
/// Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2:
///
///   m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2
///   w = (1 - lr decay) w - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
///   average = d average + (1 - d) w,  d = min(ema_decay, (1 + t) / (10 + t))
class Adam {
 public:
  struct Options {
    double beta1 = 0.9, beta2 = 0.99, epsilon = 1e-8, weight_decay = 0, max_grad_norm = 1, ema_decay = 0.999;
  };

  /// Leaf tensors of one type and device, by name; they are marked as learned.
  Adam(const std::map<std::string, at::Tensor>& parameters, const Options& options);

  /// One step with the gradients that backward() left, which are cleared. Returns their norm before clipping.
  /// When it is not finite nothing changes.
  double step(double learning_rate);

  int64_t n_steps() const { return n_steps_; }
  /// The averaged weights by name.
  std::map<std::string, at::Tensor> averaged() const;
  /// Weights, moments and average: what a checkpoint keeps. restore() checks names and shapes.
  std::map<std::string, at::Tensor> state() const;
  void restore(const std::map<std::string, at::Tensor>& state, int64_t n_steps);

 private:
  Options options_;
  std::vector<std::string> names_;
  std::vector<at::Tensor> weights_, first_, second_, average_;
  int64_t n_steps_ = 0;
};

}  // namespace t3d::prior
