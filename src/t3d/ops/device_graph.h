#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <functional>
#include <memory>
#include <vector>

namespace t3d::ops {

/// A function of tensors that is recorded once for each combination of input shapes and types and then
/// replayed as one launch on CUDA, where its many small kernels would otherwise wait for the CPU. On other
/// devices it is simply called.
///
/// The function must work on the device alone (no .item(), no copies from the host, no random numbers),
/// always on the same parameters, and may run backward(); what it writes to tensors other than its result
/// happens at every call. The result is valid until the next call. All objects of a device share the memory
/// that their recordings work in: they belong to one thread.
class DeviceGraph {
 public:
  /// Undefined inputs are allowed.
  using Function = std::function<at::Tensor(const std::vector<at::Tensor>&)>;

  DeviceGraph(Function function, c10::Device device);
  ~DeviceGraph();
  at::Tensor operator()(const std::vector<at::Tensor>& inputs);

 private:
  struct Recorder;
  Function function_;
  std::unique_ptr<Recorder> recorder_;  // null where nothing is recorded
};

}  // namespace t3d::ops
