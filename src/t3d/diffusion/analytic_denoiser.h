#pragma once

#include "t3d/diffusion/denoiser.h"

namespace t3d::diffusion {

/// The best possible denoiser of a mixture of round Gaussians: under the forward process every component
/// stays Gaussian, with mean sqrt(a) m and variance a s^2 + 1 - a, so that the score is known in closed form.
/// It stands in for a UNet where a test must know the answer.
class AnalyticDenoiser : public Denoiser {
 public:
  struct Mixture {
    at::Tensor means;       ///< [K,C,H,W] float
    at::Tensor deviations;  ///< [K] float, at least 0
    at::Tensor weights;     ///< [K] float, above 0, sum 1
  };

  /// `schedule` must lie on the device of the mixture and of what predict is given.
  AnalyticDenoiser(Mixture mixture, NoiseSchedule schedule, Prediction prediction = Prediction::Epsilon);

  /// class_labels [B] int64 picks the mixture of each row: k for component k alone, -1, like no labels, for
  /// all. So classifier-free guidance has a condition to work with. The rest of the condition is not looked
  /// at; t is rounded to whole steps.
  at::Tensor predict(const at::Tensor& latents, const at::Tensor& t,
                     const Condition& condition) const override;
  Prediction prediction() const override { return prediction_; }
  int64_t latent_channels() const override { return mixture_.means.size(1); }

  /// d log p_t(x) / dx, [B,C,H,W].
  at::Tensor score(const at::Tensor& latents, const at::Tensor& t, const at::Tensor& class_labels = {}) const;
  /// log p_t(x), [B]: what `score` is the gradient of.
  at::Tensor log_density(const at::Tensor& latents, const at::Tensor& t,
                         const at::Tensor& class_labels = {}) const;

 private:
  struct Terms {
    at::Tensor offset;     // [B,K,D] x - sqrt(a) m
    at::Tensor variance;   // [B,K]
    at::Tensor log_joint;  // [B,K] log of weight and density
  };
  Terms terms(const at::Tensor& latents, const at::Tensor& t, const at::Tensor& class_labels) const;

  Mixture mixture_;
  NoiseSchedule schedule_;
  Prediction prediction_;
};

}  // namespace t3d::diffusion
