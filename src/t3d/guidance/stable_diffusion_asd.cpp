#include "t3d/guidance/stable_diffusion_asd.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace t3d::guidance {

StableDiffusionAsd::Draws StableDiffusionAsd::draw(const Views& views, Rng& rng) const {
  check_rows(views);
  Draws draws;
  const auto t = range().draw(views.rgb.size(0) / n_views(), rng, c10::kCPU).host;
  draws.t = each_view(t);
  const auto uniform = config_.shift.draw(t.size(), rng);
  draws.later = each_view(config_.shift.apply(t, uniform, range().min(), schedule().n_steps()));
  draws.noise = draw_normal(latent_shape(views), rng, device());
  if (!views.is_latent) draws.vae_noise = draw_normal(latent_shape(views), rng, device());
  return draws;
}

GuidanceOutput StableDiffusionAsd::operator()(const Views& views, const PromptEmbeddings& prompt, Rng& rng) {
  return distill(views, prompt, draw(views, rng));
}

GuidanceText StableDiffusionAsd::text_of(const PromptEmbeddings& prompt, const Views& views) const {
  const bool uses_perp_neg = prompt.use_perp_neg() && config_.guidance_perp_neg != 0;
  if (uses_perp_neg) return guidance_text(prompt, views.angles, config_.view_dependent_prompting);
  return {prompt.text(views.angles, config_.view_dependent_prompting), {}};
}

at::Tensor StableDiffusionAsd::guided(const GuidanceText& text, const GuidedNoise& noise) const {
  const double s = config_.guidance_scale;
  return text.has_perp_neg() ? noise.perp_neg(s, text.weights * -config_.guidance_perp_neg) : noise.guided(s);
}

GuidanceOutput StableDiffusionAsd::distill(const Views& views, const PromptEmbeddings& prompt,
                                           const Draws& draws) const {
  const auto x = latents_of(pictures(views), views.is_latent, draws.vae_noise);  // [B,C,s,s]
  const auto &t = draws.t.device, &later = draws.later.device;
  at::Tensor gradient;
  {
    const c10::NoGradGuard no_grad;
    const auto text = text_of(prompt, views);
    const auto noisy = schedule().add_noise(x.detach(), draws.noise, t);
    const auto noisy_later = draws.later.host == draws.t.host
                                 ? at::Tensor()
                                 : schedule().add_noise(x.detach(), draws.noise, later);
    const auto found = GuidedCall{model(), text, cameras_of(views), n_views()}(noisy, t, noisy_later, later);
    const auto second = found.later.defined() ? found.later : found.noise.text;
    gradient =
        cleaned(weights_of(config_.weighting_strategy, schedule(), t) * (guided(text, found.noise) - second));
  }
  GuidanceOutput out;
  add_loss(out, "loss_asd", x, gradient);
  add_metrics(out, gradient);
  return out;
}

GuidancePictures StableDiffusionAsd::evaluate(const Views& views, const PromptEmbeddings& prompt,
                                              Rng& rng) const {
  const Draws draws = draw(views, rng);
  return show_guided(
      views, {draws.t, draws.noise, draws.vae_noise}, rng,
      [&](const Views& some) { return text_of(prompt, some); },
      [this](const GuidanceText& text, const GuidedNoise& noise) { return guided(text, noise); });
}

}  // namespace t3d::guidance
