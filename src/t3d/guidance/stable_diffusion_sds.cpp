#include "t3d/guidance/stable_diffusion_sds.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "t3d/core/error.h"
#include "t3d/core/log.h"

namespace t3d::guidance {
namespace {

constexpr int64_t kMostLatents = 64;

}  // namespace

std::shared_ptr<const Model> open_stable_diffusion(const StableDiffusionConfig& config,
                                                   const GuidanceContext& context) {
  auto model = open_for(config, config.pretrained_model_name_or_path, context);
  if (std::max(model->latent_height, model->latent_width) <= kMostLatents) return model;
  auto smaller = std::make_shared<Model>(*model);
  smaller->latent_height = std::min(smaller->latent_height, kMostLatents);
  smaller->latent_width = std::min(smaller->latent_width, kMostLatents);
  return smaller;
}

StableDiffusionDistillation::StableDiffusionDistillation(std::shared_ptr<const Model> model,
                                                         const StableDiffusionConfig& config,
                                                         const StepRange::Rules& rules)
    : ScoreDistillation(std::move(model), config, rules), n_views_(config.n_view) {
  if (n_views_ > 1 && !this->model().takes_cameras)
    throw UserError(cat("guidance.n_view is ", n_views_, ", but ", this->model().name,
                        " takes one picture at a time. Set it to 1, or use an MVDream-like model."));
}

GuidancePictures StableDiffusionDistillation::show_guided(
    const Views& views, const Shown& shown, Rng& rng,
    const std::function<GuidanceText(const Views&)>& text_of,
    const std::function<at::Tensor(const GuidanceText&, const GuidedNoise&)>& guided) const {
  return show(views, shown, rng, [&](const Views& some) -> NoiseAt {
    return [this, &guided, text = text_of(some), camera = cameras_of(some)](const at::Tensor& noisy,
                                                                            const at::Tensor& t) {
      return guided(text, GuidedCall{model(), text, camera, n_views()}(noisy, t).noise);
    };
  });
}

at::Tensor image_gradient(const at::Tensor& difference, const at::Tensor& w,
                          const diffusion::NoiseSchedule& schedule, const at::Tensor& t) {
  const auto signal = schedule.alphas_cumprod().index_select(0, t).reshape({-1, 1, 1, 1});
  return w * difference * (signal / (1 - signal)).sqrt();
}

StableDiffusionSds::StableDiffusionSds(const Config& config, std::shared_ptr<const Model> model)
    : StableDiffusionDistillation(
          std::move(model), config,
          {config.min_step_percent, config.max_step_percent, config.sqrt_anneal, config.trainer_max_steps}),
      config_(config) {
  if (config.use_sjc && config.use_img_loss)
    throw UserError(
        "guidance.use_img_loss: score Jacobian chaining (use_sjc) has no image loss. Set one of the "
        "two to false.");
}

StableDiffusionSds::Draws StableDiffusionSds::draw(const Views& views, Rng& rng) const {
  check_rows(views);
  Draws draws;
  draws.t = draw_steps(views.rgb.size(0), rng);
  draws.noise = draw_normal(latent_shape(views), rng, device());
  if (!views.is_latent) draws.vae_noise = draw_normal(latent_shape(views), rng, device());
  return draws;
}

GuidanceOutput StableDiffusionSds::operator()(const Views& views, const PromptEmbeddings& prompt, Rng& rng) {
  return distill(views, prompt, draw(views, rng));
}

at::Tensor StableDiffusionSds::guided(const GuidanceText& text, const GuidedNoise& noise) const {
  const double s = config_.guidance_scale;
  return text.has_perp_neg() ? noise.perp_neg(s, text.weights) : noise.guided(s + 1);
}

GuidanceOutput StableDiffusionSds::distill(const Views& views, const PromptEmbeddings& prompt,
                                           const Draws& draws) const {
  const auto images = pictures(views);                                  // [B,3,S,S]
  const auto x = latents_of(images, views.is_latent, draws.vae_noise);  // [B,C,s,s]
  const auto& t = draws.t.device;
  at::Tensor gradient, of_images;
  {
    const c10::NoGradGuard no_grad;
    const auto text = guidance_text(prompt, views.angles, config_.view_dependent_prompting);
    // SJC's z / sqrt(1 + sigma^2) is the same number, whatever the schedule.
    const auto noisy = schedule().add_noise(x.detach(), draws.noise, t);
    const auto found = guided(text, GuidedCall{model(), text, cameras_of(views), n_views()}(noisy, t).noise);
    if (config_.use_sjc) {
      gradient = config_.var_red ? found - draws.noise : found;
    } else {
      const auto w = weights_of(config_.weighting_strategy, schedule(), t);  // [B,1,1,1]
      gradient = w * (found - draws.noise);
      if (config_.use_img_loss && !views.is_latent) {
        const auto clean = schedule().clean_of(found, noisy, t, diffusion::Prediction::Epsilon);
        const auto wanted = pictures_of(clean);  // [B,3,S,S]
        of_images = cleaned(image_gradient(images.detach() - wanted, w, schedule(), t));
      }
    }
    gradient = cleaned(gradient);
  }
  GuidanceOutput out;
  add_loss(out, "loss_sds", x, gradient);
  if (of_images.defined()) add_loss(out, "loss_sds_img", images, of_images);
  add_metrics(out, gradient);
  return out;
}

GuidancePictures StableDiffusionSds::evaluate(const Views& views, const PromptEmbeddings& prompt,
                                              Rng& rng) const {
  const Draws draws = draw(views, rng);
  return show_guided(
      views, {draws.t, draws.noise, draws.vae_noise, config_.max_items_eval}, rng,
      [&](const Views& some) { return guidance_text(prompt, some.angles, config_.view_dependent_prompting); },
      [this](const GuidanceText& text, const GuidedNoise& noise) { return guided(text, noise); });
}

}  // namespace t3d::guidance
