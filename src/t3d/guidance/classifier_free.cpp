#include "t3d/guidance/classifier_free.h"

#include <ATen/ATen.h>

#include "t3d/core/error.h"

namespace t3d::guidance {

at::Tensor perpendicular(const at::Tensor& x, const at::Tensor& y) {
  const auto inner = [](const at::Tensor& a, const at::Tensor& b) {
    return (a * b).sum({1, 2, 3}, /*keepdim=*/true);  // [B,1,1,1]
  };
  return x - inner(x, y) / inner(y, y).clamp_min(1e-6) * y;
}

at::Tensor GuidanceText::repeat(const at::Tensor& x) const {
  if (!x.defined()) return x;
  return has_perp_neg() ? at::cat({x, x, x.repeat_interleave(2, 0)}) : at::cat({x, x});
}

GuidanceText guidance_text(const PromptEmbeddings& prompt, const ViewAngles& views, bool view_dependent) {
  if (!prompt.use_perp_neg()) return {prompt.text(views, view_dependent), {}};
  if (!view_dependent)
    throw UserError(
        "guidance.view_dependent_prompting is false, which prompt_processor.use_perp_neg cannot do "
        "without. Set one of the two otherwise.");
  const PerpNegText text = prompt.perp_neg_text(views);
  return {at::cat({text.positive, text.negative, text.opposing.flatten(0, 1)}), text.weights};
}

at::Tensor GuidedNoise::guided(double scale) const {
  return negative + scale * (text - negative);
}

at::Tensor GuidedNoise::perp_neg(double scale, const at::Tensor& weights) const {
  const auto wanted = text - negative;
  auto direction = wanted;
  for (int64_t i = 0; i < 2; ++i)
    direction = direction + weights.select(1, i).reshape({-1, 1, 1, 1}) *
                                perpendicular(opposing.select(1, i) - negative, wanted);
  return negative + scale * direction;
}

GuidedCall::Result GuidedCall::operator()(const at::Tensor& noisy, const at::Tensor& t,
                                          const at::Tensor& later, const at::Tensor& later_t) const {
  const int64_t n = noisy.size(0);
  const auto rows_of = [&](const at::Tensor& x, const at::Tensor& more) {
    if (!x.defined()) return x;
    return later.defined() ? at::cat({text.repeat(x), more}) : text.repeat(x);
  };
  diffusion::Condition condition;
  condition.text = later.defined() ? at::cat({text.rows, text.rows.slice(0, 0, n)}) : text.rows;
  condition.camera = rows_of(camera, camera);
  condition.n_views = n_views;
  condition.lora_scale = 0;
  const auto& schedule = model.schedule;
  const auto prediction = model.denoiser->prediction();
  const auto made = model.denoiser->predict(rows_of(noisy, later), rows_of(t, later_t), condition);

  Result out;
  const auto noise =
      schedule.noise_of(made.slice(0, 0, text.rows.size(0)), text.repeat(noisy), text.repeat(t), prediction);
  out.noise.text = noise.slice(0, 0, n);
  out.noise.negative = noise.slice(0, n, 2 * n);
  if (text.has_perp_neg())
    out.noise.opposing = noise.slice(0, 2 * n).reshape({n, 2, noise.size(1), noise.size(2), noise.size(3)});
  if (later.defined())
    out.later = schedule.noise_of(made.slice(0, text.rows.size(0)), later, later_t, prediction);
  return out;
}

}  // namespace t3d::guidance
