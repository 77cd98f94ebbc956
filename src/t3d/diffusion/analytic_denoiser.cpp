#include "t3d/diffusion/analytic_denoiser.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

#include "t3d/core/error.h"

namespace t3d::diffusion {

AnalyticDenoiser::AnalyticDenoiser(Mixture mixture, NoiseSchedule schedule, Prediction prediction)
    : mixture_(std::move(mixture)), schedule_(std::move(schedule)), prediction_(prediction) {
  const auto k = mixture_.means.size(0);
  T3D_CHECK(mixture_.means.dim() == 4 && mixture_.deviations.numel() == k && mixture_.weights.numel() == k,
            "means ", mixture_.means.sizes());
}

AnalyticDenoiser::Terms AnalyticDenoiser::terms(const at::Tensor& latents, const at::Tensor& t,
                                                const at::Tensor& class_labels) const {
  T3D_CHECK(latents.dim() == 4 && latents.sizes().slice(1) == mixture_.means.sizes().slice(1), "latents ",
            latents.sizes(), " for means ", mixture_.means.sizes());
  const auto steps = t.to(at::kDouble).round().to(at::kLong).expand({latents.size(0)});
  const auto a = schedule_.alphas_cumprod().index_select(0, steps).unsqueeze(1);  // [B,1]
  const auto x = latents.to(at::kFloat).flatten(1).unsqueeze(1);                  // [B,1,D]
  Terms out;
  out.offset = x - a.sqrt().unsqueeze(2) * mixture_.means.flatten(1).unsqueeze(0);  // [B,K,D]
  out.variance = a * mixture_.deviations.square().unsqueeze(0) + (1 - a);           // [B,K]
  const auto d = static_cast<double>(x.size(2));
  auto log_weights = mixture_.weights.log().unsqueeze(0);  // [1,K]
  if (class_labels.defined()) {
    const auto labels = class_labels.view({-1, 1}).to(at::kLong);  // [B,1]
    const auto others = labels.ge(0).logical_and(
        labels.ne(at::arange(mixture_.means.size(0), labels.options()).unsqueeze(0)));
    log_weights = log_weights.expand(others.sizes())
                      .masked_fill(labels.ge(0), 0.0)
                      .masked_fill(others, -std::numeric_limits<double>::infinity());
  }
  out.log_joint =
      log_weights - 0.5 * (out.offset.square().sum(2) / out.variance + d * (2 * M_PI * out.variance).log());
  return out;
}

at::Tensor AnalyticDenoiser::log_density(const at::Tensor& latents, const at::Tensor& t,
                                         const at::Tensor& class_labels) const {
  return terms(latents, t, class_labels).log_joint.logsumexp(1);
}

at::Tensor AnalyticDenoiser::score(const at::Tensor& latents, const at::Tensor& t,
                                   const at::Tensor& class_labels) const {
  const auto parts = terms(latents, t, class_labels);
  const auto share = (parts.log_joint.softmax(1) / parts.variance).unsqueeze(2);  // [B,K,1]
  return -(share * parts.offset).sum(1).view(latents.sizes());
}

at::Tensor AnalyticDenoiser::predict(const at::Tensor& latents, const at::Tensor& t,
                                     const Condition& condition) const {
  const auto steps = t.to(at::kDouble).round().to(at::kLong).expand({latents.size(0)}).contiguous();
  const auto a = schedule_.alphas_cumprod().index_select(0, steps).view({-1, 1, 1, 1});
  const auto x = latents.to(at::kFloat);
  // The mean of the noise given x_t is -sqrt(1-a) times the score.
  const auto noise = -(1 - a).sqrt() * score(latents, steps, condition.class_labels);
  const auto clean = (x - (1 - a).sqrt() * noise) / a.sqrt();
  at::Tensor out = noise;
  if (prediction_ == Prediction::Velocity) out = a.sqrt() * noise - (1 - a).sqrt() * clean;
  if (prediction_ == Prediction::Sample) out = clean;
  return out.to(latents.scalar_type());
}

}  // namespace t3d::diffusion
