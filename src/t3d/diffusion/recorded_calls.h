#pragma once

#include <functional>
#include <map>
#include <utility>

#include "t3d/diffusion/denoiser.h"
#include "t3d/ops/device_graph.h"

namespace t3d::diffusion {

/// A denoiser's calls without gradients, each combination of shapes and switches recorded once and replayed
/// (ops::DeviceGraph). Recorded activations stay allocated. Parameters may change in place, but not be
/// replaced. Calls must not overlap.
class RecordedCalls {
 public:
  using Function =
      std::function<at::Tensor(const at::Tensor& latents, const at::Tensor& t, const Condition& condition)>;

  /// `function` at these inputs, which are brought to the latents' device. Always the same function.
  at::Tensor operator()(const at::Tensor& latents, const at::Tensor& t, const Condition& condition,
                        const Function& function);

 private:
  std::map<std::pair<int64_t, double>, ops::DeviceGraph> graphs_;  // by n_views and lora_scale
};

}  // namespace t3d::diffusion
