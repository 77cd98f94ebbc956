#pragma once

#include <memory>

#include "t3d/diffusion/denoiser.h"
#include "t3d/diffusion/unet.h"

namespace t3d::diffusion {

/// A UNet, and LoRA weights if there are some, as a Denoiser. Shares both.
class UNetDenoiser : public Denoiser {
 public:
  UNetDenoiser(std::shared_ptr<const UNet> unet, Prediction prediction,
               std::shared_ptr<const Lora> lora = nullptr)
      : unet_(std::move(unet)), lora_(std::move(lora)), prediction_(prediction) {}

  at::Tensor predict(const at::Tensor& latents, const at::Tensor& t,
                     const Condition& condition) const override {
    UNetExtra extra;
    extra.class_labels = condition.class_labels;
    extra.camera = condition.camera;
    extra.n_views = condition.n_views;
    extra.lora = lora_.get();
    extra.lora_scale = condition.lora_scale;
    return (*unet_)(latents, t, condition.text, extra);
  }
  Prediction prediction() const override { return prediction_; }
  int64_t latent_channels() const override { return unet_->config().in_channels; }

 private:
  std::shared_ptr<const UNet> unet_;
  std::shared_ptr<const Lora> lora_;
  Prediction prediction_;
};

}  // namespace t3d::diffusion
