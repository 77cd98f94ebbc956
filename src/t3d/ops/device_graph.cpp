#include "t3d/ops/device_graph.h"

#ifdef T3D_HAS_CUDA
#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <map>
#endif

namespace t3d::ops {

#ifdef T3D_HAS_CUDA

struct DeviceGraph::Recorder {
  struct Recording {
    int64_t n_calls = 0;
    std::vector<at::Tensor> inputs;  // where the graph reads
    std::unique_ptr<at::cuda::CUDAGraph> graph;
    at::Tensor result;  // where it writes
  };
  // Libraries set themselves up and choose algorithms in the first calls, which cannot be recorded.
  static constexpr int64_t kCallsBefore = 3;

  explicit Recorder(c10::Device device)
      : stream(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device.index())) {}

  at::Tensor call(const Function& function, const std::vector<at::Tensor>& inputs) {
    const auto outer = c10::cuda::getCurrentCUDAStream(stream.device_index());
    wait(stream, outer);
    at::Tensor result;
    {
      const c10::cuda::CUDAStreamGuard guard(stream);
      result = replayed(function, inputs);
    }
    wait(outer, stream);
    return result;
  }

  at::Tensor replayed(const Function& function, const std::vector<at::Tensor>& inputs) {
    Recording& here = recordings[signature(inputs)];
    if (here.n_calls++ < kCallsBefore) return function(inputs);
    if (!here.graph) {
      for (const at::Tensor& t : inputs) here.inputs.push_back(t.defined() ? t.clone() : t);
      here.graph = std::make_unique<at::cuda::CUDAGraph>();
      // NCCL's watchdog may ask for the state of its events meanwhile, which the other modes forbid.
      here.graph->capture_begin(shared_pool(stream.device_index()), cudaStreamCaptureModeThreadLocal);
      here.result = function(here.inputs);
      here.graph->capture_end();
    }
    for (size_t i = 0; i < inputs.size(); ++i)
      if (inputs[i].defined()) here.inputs[i].copy_(inputs[i]);
    here.graph->replay();
    return here.result;
  }

  /// All recordings of a device work in the same memory: what one leaves there but its result, which its
  /// tensor keeps, is of no use to the next, and they run one after the other.
  static at::cuda::MempoolId_t shared_pool(c10::DeviceIndex device) {
    static std::map<c10::DeviceIndex, at::cuda::MempoolId_t> pools;
    const auto found = pools.find(device);
    if (found != pools.end()) return found->second;
    return pools[device] = at::cuda::graph_pool_handle();
  }

  static void wait(const c10::cuda::CUDAStream& waiting, const c10::cuda::CUDAStream& for_this) {
    at::cuda::CUDAEvent event;
    event.record(for_this);
    event.block(waiting);
  }

  static std::vector<int64_t> signature(const std::vector<at::Tensor>& inputs) {
    std::vector<int64_t> out;
    for (const at::Tensor& t : inputs) {
      out.push_back(t.defined() ? t.dim() : -1);
      if (t.defined()) out.push_back(static_cast<int64_t>(t.scalar_type()));
      if (t.defined()) out.insert(out.end(), t.sizes().begin(), t.sizes().end());
    }
    return out;
  }

  c10::cuda::CUDAStream stream;
  std::map<std::vector<int64_t>, Recording> recordings;
};

DeviceGraph::DeviceGraph(Function function, c10::Device device) : function_(std::move(function)) {
  if (device.is_cuda()) recorder_ = std::make_unique<Recorder>(device);
}

at::Tensor DeviceGraph::operator()(const std::vector<at::Tensor>& inputs) {
  return recorder_ ? recorder_->call(function_, inputs) : function_(inputs);
}

#else

struct DeviceGraph::Recorder {};

DeviceGraph::DeviceGraph(Function function, c10::Device) : function_(std::move(function)) {}

at::Tensor DeviceGraph::operator()(const std::vector<at::Tensor>& inputs) {
  return function_(inputs);
}

#endif

DeviceGraph::~DeviceGraph() = default;

}  // namespace t3d::ops
