#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "t3d/diffusion/noise_schedule.h"

namespace t3d::diffusion {

/// What a denoiser is told beside the noisy latents. Rows belong to the rows of the latents.
struct Condition {
  at::Tensor text;          ///< [B,T,C] the prompt's embedding
  at::Tensor camera;        ///< [B,16] camera_to_world, row-major; undefined where the model takes none
  at::Tensor class_labels;  ///< as the model's class embedding takes them; undefined: none
  int64_t n_views = 1;      ///< adjacent rows that are views of one object and see each other
  double lora_scale = 1;    ///< share of the LoRA weights, where the model carries some; 0: as without
};

/// A model that finds the noise in latents: Stable Diffusion's UNet, MVDream's, or a closed-form stand-in.
class Denoiser {
 public:
  virtual ~Denoiser() = default;

  ///   latents  [B,channels,H,W]  any float type
  ///   t        [B] or [1]        0 .. 999, any type; fractions are allowed
  ///   returns  [B,channels,H,W]  in the latents' type; what prediction() says
  ///
  /// Differentiable in the latents, the condition and, where they ask for it, the parameters. Throws
  /// UserError for a condition that does not fit the model.
  virtual at::Tensor predict(const at::Tensor& latents, const at::Tensor& t,
                             const Condition& condition) const = 0;
  virtual Prediction prediction() const = 0;
  virtual int64_t latent_channels() const { return 4; }
};

}  // namespace t3d::diffusion
