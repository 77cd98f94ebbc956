#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

namespace t3d::optim {

/// AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2; ops/adam.h) over many tensors at once,
/// with gradients clipped to a length and an exponential moving average of the weights w:
///
///   average = d average + (1 - d) w,  d = min(ema_decay, (1 + t) / (10 + t))
///
/// All tensors lie in one buffer, so a step is a few kernels however many there are, and processes that train
/// together exchange one gradient. Weights, moments and average are in single precision; with `compute_type`
/// bfloat16 the networks get rounded copies of the weights, and leave gradients of that type.
class AveragedAdamW {
 public:
  struct Options {
    double beta1 = 0.9, beta2 = 0.99, epsilon = 1e-8, weight_decay = 0, max_grad_norm = 1, ema_decay = 0.999;
    at::ScalarType compute_type = at::kFloat;
  };

  /// Leaf tensors of single precision on one device, by name. Each stays the object that it is, but its
  /// values move into this optimizer's buffer in the compute type, and it is marked as learned.
  AveragedAdamW(const std::map<std::string, at::Tensor>& parameters, const Options& options);

  /// One step with the gradients that backward() left, which are cleared. Returns their norm before clipping.
  /// When it is not finite nothing changes.
  double step(double learning_rate);

  int64_t n_steps() const { return n_steps_; }
  /// What backward() adds to, of all parameters in a row: [n] of the compute type. Those without a gradient
  /// have zeros.
  const at::Tensor& gradients() const { return gradients_; }
  /// The averaged weights by name.
  std::map<std::string, at::Tensor> averaged() const;
  /// Weights, moments and average: what a checkpoint keeps. restore() checks names and shapes.
  std::map<std::string, at::Tensor> state() const;
  void restore(const std::map<std::string, at::Tensor>& state, int64_t n_steps);

 private:
  struct Place {
    std::string name;
    int64_t first;
    std::vector<int64_t> shape, strides;  // the layout that the parameter came with
    at::Tensor in(const at::Tensor& buffer) const;
  };

  Options options_;
  std::vector<Place> places_;
  at::Tensor weights_, first_, second_, average_;  // [n] float
  at::Tensor seen_;                                // [n] of the compute type; weights_ itself for float
  at::Tensor gradients_;                           // [n] of the compute type
  int64_t n_steps_ = 0;
};

}  // namespace t3d::optim
