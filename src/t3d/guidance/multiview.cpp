#include "t3d/guidance/multiview.h"

#include <ATen/ATen.h>

#include "t3d/core/error.h"

namespace t3d::guidance {

MultiviewDistillation::MultiviewDistillation(std::shared_ptr<const Model> model,
                                             const MultiviewConfig& config)
    : ScoreDistillation(std::move(model), config, {config.min_step_percent, config.max_step_percent}),
      guidance_scale_(config.guidance_scale),
      n_views_(config.n_view),
      view_dependent_(config.view_dependent_prompting) {}

diffusion::Condition MultiviewDistillation::condition(const Views& views, at::Tensor text,
                                                      int64_t n_blocks) const {
  diffusion::Condition out;
  out.text = std::move(text);
  out.n_views = n_views_;
  const auto cameras = cameras_of(views);  // [B,16]
  if (cameras.defined()) out.camera = cameras.repeat({n_blocks, 1});
  return out;
}

at::Tensor MultiviewDistillation::text_of(const Views& views, const PromptEmbeddings& prompt) const {
  return prompt.text(views.angles, view_dependent_);
}

NoiseAt MultiviewDistillation::guided_noise(const Views& views, const PromptEmbeddings& prompt) const {
  return [this, told = condition(views, text_of(views, prompt), 2)](const at::Tensor& noisy,
                                                                    const at::Tensor& t) {
    const auto rows = model().denoiser->predict(at::cat({noisy, noisy}), at::cat({t, t}), told).chunk(2);
    return schedule().noise_of(rows[1] + guidance_scale_ * (rows[0] - rows[1]), noisy, t,
                               model().denoiser->prediction());
  };
}

std::shared_ptr<const Model> open_multiview(const MultiviewConfig& config, const GuidanceContext& context) {
  auto model = open_for(config, config.ckpt_path.value_or(config.model_name), context);
  if (!model->takes_cameras)
    throw UserError(cat(model->name,
                        ": its UNet takes no cameras, expected an MVDream-like model. Name one "
                        "in guidance.model_name, or use stable-diffusion-guidance."));
  return model;
}

}  // namespace t3d::guidance
