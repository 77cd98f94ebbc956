#include "t3d/guidance/multiview_asd.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace t3d::guidance {

MultiviewAsd::Draws MultiviewAsd::draw(const Views& views, Rng& rng) const {
  check_rows(views);
  Draws draws;
  draws.t = range().draw(1, rng, device());
  draws.later = Timesteps::of(
      config_.shift.apply(draws.t.host, config_.shift.draw(1, rng), range().min(), schedule().n_steps()),
      device());
  draws.noise = draw_normal(latent_shape(views), rng, device());
  if (!views.is_latent) draws.vae_noise = draw_normal(latent_shape(views), rng, device());
  return draws;
}

GuidanceOutput MultiviewAsd::operator()(const Views& views, const PromptEmbeddings& prompt, Rng& rng) {
  return distill(views, prompt, draw(views, rng));
}

GuidanceOutput MultiviewAsd::distill(const Views& views, const PromptEmbeddings& prompt,
                                     const Draws& draws) const {
  const auto x = latents_of(pictures(views), views.is_latent, draws.vae_noise);  // [B,C,s,s]
  at::Tensor gradient;
  {
    const c10::NoGradGuard no_grad;
    const int64_t n = x.size(0);
    const bool is_shifted = draws.later.host != draws.t.host;
    const auto t = draws.t.device.expand({n}), later = draws.later.device.expand({n});
    const auto noisy = schedule().add_noise(x.detach(), draws.noise, t);
    auto text = text_of(views, prompt);  // [2B,T,C]
    std::vector<at::Tensor> rows{noisy, noisy}, steps{t, t};
    auto noisy_later = noisy;
    if (is_shifted) {
      noisy_later = schedule().add_noise(x.detach(), draws.noise, later);
      rows.push_back(noisy_later);
      steps.push_back(later);
      text = at::cat({text, text.slice(0, 0, n)});
    }
    const auto n_blocks = static_cast<int64_t>(rows.size());
    const auto made = model()
                          .denoiser->predict(at::cat(rows), at::cat(steps), condition(views, text, n_blocks))
                          .chunk(n_blocks);
    const auto prediction = model().denoiser->prediction();
    const auto guided =
        schedule().noise_of(made[1] + guidance_scale() * (made[0] - made[1]), noisy, t, prediction);
    const auto second = schedule().noise_of(is_shifted ? made[2] : made[0], noisy_later, later, prediction);
    gradient = cleaned(weights_of(config_.weighting_strategy, schedule(), t) * (guided - second));
  }
  GuidanceOutput out;
  add_loss(out, "loss_asd", x, gradient);
  add_metrics(out, gradient);
  return out;
}

GuidancePictures MultiviewAsd::evaluate(const Views& views, const PromptEmbeddings& prompt, Rng& rng) const {
  const Draws draws = draw(views, rng);
  return show(views, {draws.t, draws.noise, draws.vae_noise}, rng,
              [&](const Views& some) -> NoiseAt { return guided_noise(some, prompt); });
}

}  // namespace t3d::guidance
