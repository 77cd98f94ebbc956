#include "t3d/diffusion/unet_denoiser.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace t3d::diffusion {

at::Tensor UNetDenoiser::call(const at::Tensor& latents, const at::Tensor& t,
                              const Condition& condition) const {
  UNetExtra extra;
  extra.class_labels = condition.class_labels;
  extra.camera = condition.camera;
  extra.n_views = condition.n_views;
  extra.lora = lora_.get();
  extra.lora_scale = condition.lora_scale;
  return (*unet_)(latents, t, condition.text, extra);
}

bool UNetDenoiser::can_record(const at::Tensor& latents, const Condition& condition) const {
  // Labels that are indices are checked on the host.
  const bool has_indices = condition.class_labels.defined() && !condition.class_labels.is_floating_point();
  return latents.is_cuda() && !c10::GradMode::is_enabled() && !has_indices;
}

at::Tensor UNetDenoiser::predict(const at::Tensor& latents, const at::Tensor& t,
                                 const Condition& condition) const {
  if (!can_record(latents, condition)) return call(latents, t, condition);
  const auto here = [&latents](const at::Tensor& x) { return x.defined() ? x.to(latents.device()) : x; };
  const int64_t n_views = condition.n_views;
  const double lora_scale = condition.lora_scale;
  auto found = graphs_.find({n_views, lora_scale});
  if (found == graphs_.end()) {
    const auto function = [this, n_views, lora_scale](const std::vector<at::Tensor>& in) {
      return call(in[0], in[1], {in[2], in[3], in[4], n_views, lora_scale});
    };
    found = graphs_
                .emplace(std::piecewise_construct, std::forward_as_tuple(n_views, lora_scale),
                         std::forward_as_tuple(function, latents.device()))
                .first;
  }
  // The recording's result is overwritten by the next call; callers may keep theirs.
  return found
      ->second({latents, here(t), here(condition.text), here(condition.camera), here(condition.class_labels)})
      .clone();
}

}  // namespace t3d::diffusion
