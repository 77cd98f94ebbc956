#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <functional>
#include <vector>

#include "t3d/ops/device_graph.h"

namespace t3d::ops {

/// A scalar function of tensors together with its gradient for fixed parameters. Both are computed in one
/// DeviceGraph, which on CUDA is recorded once for each combination of input shapes and then replayed: a
/// small network's forward and backward passes are a few thousand launches otherwise.
///
/// The gradient is there before anyone asks for it, so the result's backward() only hands it on, times
/// whatever the caller multiplied the loss by.
class RecordedLoss {
 public:
  /// What DeviceGraph asks of a function; returns one number. Every parameter must take part in it.
  using Function = std::function<at::Tensor(const std::vector<at::Tensor>&)>;

  /// `parameters` are leaves that ask for gradients. Networks in half precision lose gradients below 6e-8:
  /// inside of the function they are `gradient_scale` times as large.
  RecordedLoss(Function loss, std::vector<at::Tensor> parameters, c10::Device device,
               double gradient_scale = 1);

  /// The loss at these inputs, a scalar in single precision, differentiable in the parameters alone.
  at::Tensor operator()(const std::vector<at::Tensor>& inputs);

 private:
  std::vector<at::Tensor> parameters_;
  DeviceGraph graph_;  // returns the loss and all gradients in one row
};

}  // namespace t3d::ops
