#pragma once

#include <map>
#include <memory>
#include <utility>

#include "t3d/diffusion/denoiser.h"
#include "t3d/diffusion/unet.h"
#include "t3d/ops/device_graph.h"

namespace t3d::diffusion {

/// A UNet, and LoRA weights if there are some, as a Denoiser. Shares both.
///
/// On CUDA, calls without gradients are recorded once for each combination of shapes and then replayed as one
/// launch; recorded activations stay allocated. Parameters may change in place, but not be replaced. Calls
/// must not overlap.
class UNetDenoiser : public Denoiser {
 public:
  UNetDenoiser(std::shared_ptr<const UNet> unet, Prediction prediction,
               std::shared_ptr<const Lora> lora = nullptr)
      : unet_(std::move(unet)), lora_(std::move(lora)), prediction_(prediction) {}

  at::Tensor predict(const at::Tensor& latents, const at::Tensor& t,
                     const Condition& condition) const override;
  Prediction prediction() const override { return prediction_; }
  int64_t latent_channels() const override { return unet_->config().in_channels; }

 private:
  at::Tensor call(const at::Tensor& latents, const at::Tensor& t, const Condition& condition) const;
  bool can_record(const at::Tensor& latents, const Condition& condition) const;

  std::shared_ptr<const UNet> unet_;
  std::shared_ptr<const Lora> lora_;
  Prediction prediction_;
  mutable std::map<std::pair<int64_t, double>, ops::DeviceGraph> graphs_;  // by n_views and lora_scale
};

}  // namespace t3d::diffusion
