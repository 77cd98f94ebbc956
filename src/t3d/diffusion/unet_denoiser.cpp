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
  return recorded_(latents, t, condition,
                   [this](const at::Tensor& x, const at::Tensor& steps, const Condition& known) {
                     return call(x, steps, known);
                   });
}

}  // namespace t3d::diffusion
