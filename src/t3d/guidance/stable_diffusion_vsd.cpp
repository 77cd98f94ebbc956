#include "t3d/guidance/stable_diffusion_vsd.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "t3d/core/error.h"

namespace t3d::guidance {
namespace {

constexpr float kCameraDropout = 0.1f;

ParticleScore lora_score(const Model& base, uint64_t seed) {
  const auto score = LoraScore::make(base, seed);
  return {score, base.schedule, score->parameters(), score->has_camera_embedding(), score->gradient_scale()};
}

/// phi on a model of its own, or on `model` where the names are the same.
ParticleScore open_phi(const StableDiffusionVsd::Config& c, const Model& model,
                       const GuidanceContext& context) {
  if (c.pretrained_model_name_or_path_lora == c.pretrained_model_name_or_path)
    return lora_score(model, context.seed);
  ModelRequest request;
  request.name = c.pretrained_model_name_or_path_lora;
  request.half_precision = c.half_precision_weights;
  request.cpu_bfloat16 = c.cpu_bfloat16;
  request.with_vae = false;
  request.device = context.device;
  request.reads_weights = context.reads_weights;
  const auto base = context.open(request);
  if (base->denoiser->latent_channels() != model.denoiser->latent_channels())
    throw UserError(cat(base->name, ": has latents of ", base->denoiser->latent_channels(), " channels, but ",
                        model.name, " has ", model.denoiser->latent_channels(),
                        ". Give two models with one kind of latents."));
  if (base->takes_cameras != model.takes_cameras)
    throw UserError(cat(base->name, " and ", model.name,
                        ": one takes cameras and the other does not. Give two models of one kind."));
  return lora_score(*base, context.seed);
}

}  // namespace

StableDiffusionVsd::StableDiffusionVsd(const Config& config, const GuidanceContext& context)
    : StableDiffusionVsd(config, open_stable_diffusion(config, context), ParticleScore()) {
  set_phi(open_phi(config, model(), context));
}

StableDiffusionVsd::StableDiffusionVsd(const Config& config, std::shared_ptr<const Model> model,
                                       ParticleScore phi)
    : StableDiffusionDistillation(
          std::move(model), config,
          {config.min_step_percent, config.max_step_percent, config.sqrt_anneal, config.trainer_max_steps}),
      config_(config) {
  set_phi(std::move(phi));
}

void StableDiffusionVsd::set_phi(ParticleScore phi) {
  phi_ = std::move(phi);
  std::vector<at::Tensor> parameters;
  for (const auto& [name, tensor] : phi_.parameters) parameters.push_back(tensor);
  loss_of_phi_ = std::make_unique<ops::RecordedLoss>(
      [this](const std::vector<at::Tensor>& in) {
        return (ask_phi(in[0], in[1], in[2], in[3], in[4]).to(at::kFloat) - in[5]).square().mean();
      },
      std::move(parameters), device(), phi_.gradient_scale);
}

void StableDiffusionVsd::collect(const std::string& prefix, NamedTensors& parameters, NamedTensors&) const {
  for (const auto& [name, tensor] : phi_.parameters) parameters.emplace(prefix + name, tensor);
}

StableDiffusionVsd::Draws StableDiffusionVsd::draw(const Views& views, Rng& rng) const {
  check_rows(views);
  const int64_t n = views.rgb.size(0), n_train = n * config_.lora_n_timestamp_samples;
  const auto shape = latent_shape(views);
  Draws draws;
  draws.t = draw_steps(n, rng);
  draws.noise = draw_normal(shape, rng, device());
  if (!views.is_latent) draws.vae_noise = draw_normal(shape, rng, device());
  if (!phi_.parameters.empty()) {
    std::vector<int64_t> steps;
    for (int64_t i = 0; i < n_train / n_views(); ++i)
      steps.push_back(rng.below(static_cast<uint32_t>(phi_.schedule.n_steps())));
    draws.train_t = each_view(steps);
    draws.train_noise = draw_normal({n_train, shape[1], shape[2], shape[3]}, rng, device());
    draws.drops_camera = config_.lora_cfg_training && rng.uniform() < kCameraDropout;
  }
  return draws;
}

GuidanceOutput StableDiffusionVsd::operator()(const Views& views, const PromptEmbeddings& prompt, Rng& rng) {
  return distill(views, prompt, draw(views, rng));
}

at::Tensor StableDiffusionVsd::label_of(const Views& views) const {
  if (!phi_.has_camera_embedding) return {};
  const bool is_mvp = config_.camera_condition_type == "mvp";
  const auto& camera = is_mvp ? views.mvp : views.camera_to_world;
  T3D_CHECK(camera.defined() && camera.dim() == 3 && camera.size(0) == views.rgb.size(0),
            is_mvp ? "mvp" : "camera_to_world", " must be [B,4,4]");
  return camera.detach().to(device(), at::kFloat).reshape({-1, 16});
}

at::Tensor StableDiffusionVsd::ask_phi(const at::Tensor& noisy, const at::Tensor& t, const at::Tensor& text,
                                       const at::Tensor& labels, const at::Tensor& cameras) const {
  diffusion::Condition condition;
  condition.text = text.expand({noisy.size(0), -1, -1});
  condition.class_labels = labels;
  condition.camera = cameras;
  condition.n_views = n_views();
  return phi_.denoiser->predict(noisy, t, condition);
}

at::Tensor StableDiffusionVsd::phi_noise(const Views& views, const PromptEmbeddings& prompt,
                                         const at::Tensor& noisy, const at::Tensor& t) const {
  const auto labels = label_of(views), cameras = cameras_of(views);
  const auto noise_with = [&](const at::Tensor& own_labels, const at::Tensor& own_cameras) {
    // No view words: the camera says it.
    return phi_.schedule.noise_of(ask_phi(noisy, t, prompt.prompt(), own_labels, own_cameras), noisy, t,
                                  phi_.denoiser->prediction());
  };
  const auto with = noise_with(labels, cameras);
  const double s = config_.guidance_scale_lora;
  if (s == 1) return with;
  const auto without = noise_with(labels.defined() ? at::zeros_like(labels) : labels, {});
  return without + s * (with - without);
}

at::Tensor StableDiffusionVsd::train_loss(const Views& views, const PromptEmbeddings& prompt,
                                          const at::Tensor& x, const Draws& draws) const {
  const int64_t n = config_.lora_n_timestamp_samples;
  const auto rows = [n](const at::Tensor& one) { return one.defined() ? one.repeat({n, 1}) : one; };
  const auto clean = x.detach().repeat({n, 1, 1, 1});  // [B n,C,s,s]
  const auto& t = draws.train_t.device;
  auto labels = rows(label_of(views)), cameras = rows(cameras_of(views));
  if (draws.drops_camera) {
    if (labels.defined()) labels = at::zeros_like(labels);
    cameras = at::Tensor();
  }
  const auto noisy = phi_.schedule.add_noise(clean, draws.train_noise, t);
  const auto prediction = phi_.denoiser->prediction();
  const auto target = prediction == diffusion::Prediction::Velocity
                          ? phi_.schedule.velocity(clean, draws.train_noise, t)
                      : prediction == diffusion::Prediction::Sample ? clean
                                                                    : draws.train_noise;
  return (*loss_of_phi_)({noisy, t, prompt.prompt().to(noisy.device()), labels, cameras, target});
}

GuidanceOutput StableDiffusionVsd::distill(const Views& views, const PromptEmbeddings& prompt,
                                           const Draws& draws) const {
  const auto images = pictures(views);                                  // [B,3,S,S]
  const auto x = latents_of(images, views.is_latent, draws.vae_noise);  // [B,C,s,s]
  const auto& t = draws.t.device;
  at::Tensor gradient, of_images;
  {
    const c10::NoGradGuard no_grad;
    // Perp-Neg is not part of this method, in the reference neither.
    const GuidanceText text{prompt.text(views.angles, config_.view_dependent_prompting), {}};
    const auto noisy = schedule().add_noise(x.detach(), draws.noise, t);
    const auto wanted = GuidedCall{model(), text, cameras_of(views), n_views()}(noisy, t).noise.guided(
        config_.guidance_scale);
    const auto present = phi_noise(views, prompt, noisy, t);
    const auto w = weights_of(Weighting::Sds, schedule(), t);  // [B,1,1,1]
    gradient = cleaned(w * (wanted - present));
    if (config_.use_img_loss && !views.is_latent) {
      const auto picture = [&](const at::Tensor& noise) {
        const auto clean = schedule().clean_of(noise, noisy, t, diffusion::Prediction::Epsilon);
        return pictures_of(clean);  // [B,3,S,S]
      };
      of_images = cleaned(image_gradient(picture(present) - picture(wanted), w, schedule(), t));
    }
  }
  GuidanceOutput out;
  add_loss(out, "loss_vsd", x, gradient);
  if (of_images.defined()) add_loss(out, "loss_vsd_img", images, of_images);
  if (!phi_.parameters.empty()) out.losses["loss_lora"] = train_loss(views, prompt, x, draws);
  add_metrics(out, gradient);
  return out;
}

GuidancePictures StableDiffusionVsd::evaluate(const Views& views, const PromptEmbeddings& prompt,
                                              Rng& rng) const {
  const Draws draws = draw(views, rng);
  return show_guided(
      views, {draws.t, draws.noise, draws.vae_noise, config_.max_items_eval}, rng,
      [&](const Views& some) -> GuidanceText {
        return {prompt.text(some.angles, config_.view_dependent_prompting), {}};
      },
      [this](const GuidanceText&, const GuidedNoise& noise) { return noise.guided(config_.guidance_scale); });
}

}  // namespace t3d::guidance
