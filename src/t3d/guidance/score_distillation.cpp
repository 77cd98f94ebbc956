#include "t3d/guidance/score_distillation.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "t3d/core/error.h"
#include "t3d/diffusion/autoencoder.h"
#include "t3d/diffusion/view_cameras.h"

namespace t3d::guidance {

std::vector<std::pair<Weighting, const char*>> enum_names(const Weighting*) {
  return {{Weighting::Sds, "sds"}, {Weighting::Uniform, "uniform"}, {Weighting::Fantasia3d, "fantasia3d"}};
}

at::Tensor weights_of(Weighting weighting, const diffusion::NoiseSchedule& schedule, const at::Tensor& t) {
  const auto signal = schedule.alphas_cumprod().index_select(0, t).reshape({-1, 1, 1, 1});
  if (weighting == Weighting::Uniform) return at::ones_like(signal);
  if (weighting == Weighting::Fantasia3d) return signal.sqrt() * (1 - signal);
  return 1 - signal;
}

std::shared_ptr<const Model> open_for(const DistillationConfig& config, const std::string& name,
                                      const GuidanceContext& context) {
  ModelRequest request;
  request.name = name;
  request.half_precision = config.half_precision_weights;
  request.cpu_bfloat16 = config.cpu_bfloat16;
  request.device = context.device;
  request.reads_weights = context.reads_weights;
  return context.open(request);
}

ScoreDistillation::ScoreDistillation(std::shared_ptr<const Model> model, const DistillationConfig& config,
                                     const StepRange::Rules& rules)
    : model_(std::move(model)), grad_clip_(config.grad_clip), range_(rules, model_->schedule.n_steps()) {}

void ScoreDistillation::update_step(int64_t step) {
  range_.update(step);
  if (grad_clip_) clip_ = grad_clip_->at(step);
}

at::Tensor ScoreDistillation::pictures_of(const at::Tensor& latents) const {
  if (model_->vae == nullptr)
    throw UserError(cat(model_->name, ": has no autoencoder, so that latents cannot be shown."));
  const c10::NoGradGuard no_grad;
  return (model_->vae->from_latents(latents).to(at::kFloat) * 0.5 + 0.5).clamp(0, 1);
}

at::Tensor ScoreDistillation::decode(const at::Tensor& latents) const {
  return pictures_of(latents.to(device()).permute({0, 3, 1, 2})).permute({0, 2, 3, 1});
}

void ScoreDistillation::check_rows(const Views& views) const {
  const auto& rgb = views.rgb;
  const int64_t channels = views.is_latent ? model_->denoiser->latent_channels() : 3;
  if (rgb.dim() != 4 || rgb.size(0) == 0 || rgb.size(3) != channels)
    throw UserError(cat("guidance: pictures of shape ", rgb.sizes(), ", expected [B,H,W,", channels, "]",
                        views.is_latent ? " latents." : "."));
  if (rgb.size(0) % n_views() != 0)
    throw UserError(cat("guidance: ", rgb.size(0), " views, expected a multiple of n_view (", n_views(),
                        "). Change data.batch_size or data.n_view."));
  if (!views.is_latent && model_->vae == nullptr)
    throw UserError(cat(model_->name, ": has no autoencoder, so that only latents can be guided."));
}

std::vector<int64_t> ScoreDistillation::latent_shape(const Views& views) const {
  return {views.rgb.size(0), model_->denoiser->latent_channels(), model_->latent_height,
          model_->latent_width};
}

at::Tensor ScoreDistillation::pictures(const Views& views) const {
  check_rows(views);
  const int64_t height = views.is_latent ? model_->latent_height : model_->image_height();
  const int64_t width = views.is_latent ? model_->latent_width : model_->image_width();
  const auto rows = views.rgb.to(device(), at::kFloat).permute({0, 3, 1, 2});  // [B,C,H,W]
  if (rows.size(2) == height && rows.size(3) == width) return rows;
  return at::upsample_bilinear2d(rows, {height, width}, /*align_corners=*/false);
}

at::Tensor ScoreDistillation::latents_of(const at::Tensor& pictures, bool is_latent,
                                         const at::Tensor& noise) const {
  if (is_latent) return pictures;
  return model_->vae->to_latents(pictures * 2 - 1, noise);
}

Timesteps ScoreDistillation::each_view(const std::vector<int64_t>& of_objects) const {
  std::vector<int64_t> rows;
  for (const int64_t t : of_objects) rows.insert(rows.end(), static_cast<size_t>(n_views()), t);
  return Timesteps::of(std::move(rows), device());
}

Timesteps ScoreDistillation::draw_steps(int64_t n_rows, Rng& rng) const {
  return each_view(range_.draw(n_rows / n_views(), rng, c10::kCPU).host);
}

at::Tensor ScoreDistillation::cameras_of(const Views& views) const {
  const auto& poses = views.camera_to_world;
  if (!model_->takes_cameras || !poses.defined()) return {};
  T3D_CHECK(poses.dim() == 3 && poses.size(0) == views.rgb.size(0), "camera_to_world ", poses.sizes());
  return diffusion::unit_cameras(poses.to(device(), at::kFloat));
}

at::Tensor ScoreDistillation::cleaned(const at::Tensor& gradient) const {
  const auto finite = at::nan_to_num(gradient);
  return clip_ ? finite.clamp(-*clip_, *clip_) : finite;
}

void ScoreDistillation::add_loss(GuidanceOutput& out, const std::string& name, const at::Tensor& x,
                                 const at::Tensor& gradient) {
  const auto target = (x - gradient).detach();
  out.losses[name] = 0.5 * (x - target).square().sum() / static_cast<double>(x.size(0));
}

void ScoreDistillation::add_metrics(GuidanceOutput& out, const at::Tensor& gradient) const {
  out.metrics["grad_norm"] = gradient.norm();
  out.metrics["min_step"] = at::scalar_tensor(static_cast<double>(range_.min()), at::kFloat);
  out.metrics["max_step"] = at::scalar_tensor(static_cast<double>(range_.max()), at::kFloat);
}

}  // namespace t3d::guidance
