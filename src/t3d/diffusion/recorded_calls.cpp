#include "t3d/diffusion/recorded_calls.h"

#include <ATen/ATen.h>

namespace t3d::diffusion {

at::Tensor RecordedCalls::operator()(const at::Tensor& latents, const at::Tensor& t,
                                     const Condition& condition, const Function& function) {
  const auto here = [&latents](const at::Tensor& x) { return x.defined() ? x.to(latents.device()) : x; };
  const int64_t n_views = condition.n_views;
  const double lora_scale = condition.lora_scale;
  auto found = graphs_.find({n_views, lora_scale});
  if (found == graphs_.end()) {
    const auto on_inputs = [function, n_views, lora_scale](const std::vector<at::Tensor>& in) {
      return function(in[0], in[1], {in[2], in[3], in[4], n_views, lora_scale});
    };
    found = graphs_
                .emplace(std::piecewise_construct, std::forward_as_tuple(n_views, lora_scale),
                         std::forward_as_tuple(on_inputs, latents.device()))
                .first;
  }
  // The recording's result is overwritten by the next call; callers may keep theirs.
  return found
      ->second({latents, here(t), here(condition.text), here(condition.camera), here(condition.class_labels)})
      .clone();
}

}  // namespace t3d::diffusion
