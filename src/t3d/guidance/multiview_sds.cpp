#include "t3d/guidance/multiview_sds.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <tuple>

namespace t3d::guidance {
namespace {

/// [B,3,H,W] differences of pictures less their median brightness: at high noise no model knows how bright a
/// background is, and following its guess would fill the scene with fog of that grey.
at::Tensor without_median_brightness(const at::Tensor& difference) {
  const auto median = std::get<0>(difference.mean(1).flatten(1).median(1));  // [B]
  return difference - median.reshape({-1, 1, 1, 1});
}

}  // namespace

MultiviewSds::Draws MultiviewSds::draw(const Views& views, Rng& rng) const {
  check_rows(views);
  Draws draws;
  draws.t = range().draw(1, rng, device());
  draws.noise = draw_normal(latent_shape(views), rng, device());
  if (!views.is_latent) draws.vae_noise = draw_normal(latent_shape(views), rng, device());
  return draws;
}

GuidanceOutput MultiviewSds::operator()(const Views& views, const PromptEmbeddings& prompt, Rng& rng) {
  return distill(views, prompt, draw(views, rng));
}

at::Tensor MultiviewSds::clean_target(const at::Tensor& guided, const at::Tensor& text,
                                      const at::Tensor& noisy, const at::Tensor& t) const {
  const auto prediction = model().denoiser->prediction();
  const auto clean = schedule().clean_of(guided, noisy, t, prediction);
  const double r = config_.recon_std_rescale;
  if (r == 0) return clean;
  // Guidance widens the range of the prediction; Lin et al. 2023, arXiv:2305.08891, section 3.4.
  const auto spread = [this](const at::Tensor& x) {
    return x.reshape({-1, n_views() * x[0].numel()}).std(1) + 1e-8;  // [objects]
  };
  const auto ratio = spread(schedule().clean_of(text, noisy, t, prediction)) / spread(clean);
  const auto factor = (r * ratio + (1 - r)).repeat_interleave(n_views()).reshape({-1, 1, 1, 1});  // [B,1,1,1]
  return clean * factor;
}

GuidanceOutput MultiviewSds::distill(const Views& views, const PromptEmbeddings& prompt,
                                     const Draws& draws) const {
  const auto images = pictures(views);                                  // [B,3,S,S]
  const auto x = latents_of(images, views.is_latent, draws.vae_noise);  // [B,C,s,s]
  const auto& t = draws.t.device;
  at::Tensor gradient, of_images;
  {
    const c10::NoGradGuard no_grad;
    const auto noisy = schedule().add_noise(x.detach(), draws.noise, t);
    const auto rows =
        model()
            .denoiser->predict(at::cat({noisy, noisy}), t, condition(views, text_of(views, prompt), 2))
            .chunk(2);
    // Guidance on the raw output: at one x_t noise, velocity and clean sample are linear in each other.
    const auto guided = rows[1] + guidance_scale() * (rows[0] - rows[1]);
    if (config_.recon_loss) {
      const auto clean = clean_target(guided, rows[0], noisy, t);
      gradient = x.detach() - clean;
      if (config_.use_img_loss && !views.is_latent)
        of_images = cleaned(without_median_brightness(images.detach() - pictures_of(clean)));
    } else {
      const auto noise = schedule().noise_of(guided, noisy, t, model().denoiser->prediction());
      gradient = weights_of(Weighting::Sds, schedule(), t) * (noise - draws.noise);
    }
    gradient = cleaned(gradient);
  }
  GuidanceOutput out;
  add_loss(out, "loss_sds", x, gradient);
  if (of_images.defined()) add_loss(out, "loss_sds_img", images, of_images);
  add_metrics(out, gradient);
  return out;
}

GuidancePictures MultiviewSds::evaluate(const Views& views, const PromptEmbeddings& prompt, Rng& rng) const {
  const Draws draws = draw(views, rng);
  return show(views, {draws.t, draws.noise, draws.vae_noise}, rng,
              [&](const Views& some) -> NoiseAt { return guided_noise(some, prompt); });
}

}  // namespace t3d::guidance
