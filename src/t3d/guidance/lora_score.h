#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "t3d/diffusion/denoiser.h"
#include "t3d/diffusion/layers.h"
#include "t3d/diffusion/lora.h"
#include "t3d/diffusion/unet.h"
#include "t3d/diffusion/unet_denoiser.h"
#include "t3d/guidance/model.h"

namespace t3d::guidance {

/// Linear, SiLU, Linear from 16 numbers of a camera to the width of the UNet's time embedding. Single
/// precision, with gradients.
struct CameraEmbedding {
  CameraEmbedding(const diffusion::Weights& weights, int64_t n_out);
  at::Tensor operator()(const at::Tensor& cameras) const;  // [B,16] -> [B,n_out]

  diffusion::Linear linear_1, linear_2;
};

/// The score of what is being made, as variational score distillation learns it: a frozen UNet with low-rank
/// weights, told the camera. Wang et al. 2023, ProlificDreamer, arXiv:2305.16213, section 3.3.
class LoraScore : public diffusion::Denoiser {
 public:
  /// Starts as the UNet itself, but for the camera embedding, whose first values are drawn from `seed`. A
  /// model that takes cameras by itself (MVDream, the toybox) gets none: its own input is used.
  static std::shared_ptr<LoraScore> make(const Model& model, uint64_t seed);

  LoraScore(const Model& model, diffusion::Lora lora, std::optional<CameraEmbedding> camera);

  /// condition.class_labels [B,16]: cameras for the camera embedding; undefined: it is left out. The rest is
  /// UNetDenoiser's.
  at::Tensor predict(const at::Tensor& latents, const at::Tensor& t,
                     const diffusion::Condition& condition) const override;
  diffusion::Prediction prediction() const override { return denoiser_.prediction(); }
  int64_t latent_channels() const override { return denoiser_.latent_channels(); }
  bool has_camera_embedding() const { return camera_.has_value(); }

  /// "camera_embedding.linear_1.weight", "lora_layers.layers.0.to_q_lora.down.weight": threestudio's names.
  /// Layers are counted down blocks first, then up blocks, then the middle.
  std::map<std::string, at::Tensor> parameters() const;
  const diffusion::Lora& lora() const { return *lora_; }
  /// What a training loss should be multiplied by for the backward pass. Half precision loses gradients below
  /// 6e-8, and the loss's own start at 1e-4 for a 64 x 64 latent: 1024 for a network that computes in
  /// float16.
  double gradient_scale() const;

 private:
  std::shared_ptr<const diffusion::UNet> unet_;
  std::shared_ptr<diffusion::Lora> lora_;
  diffusion::UNetDenoiser denoiser_;
  std::optional<CameraEmbedding> camera_;
};

}  // namespace t3d::guidance
