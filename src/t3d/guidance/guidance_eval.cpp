#include "t3d/guidance/guidance_eval.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

#include "t3d/core/error.h"
#include "t3d/guidance/score_distillation.h"
#include "t3d/guidance/timesteps.h"

namespace t3d::guidance {
namespace {

/// With a last step without signal x_0 is not in x_t at all; this keeps the quotient finite.
constexpr double kLeastSignal = 1e-8;

/// The timesteps of `n_steps` even ones, offset by 1 as Stable Diffusion's are, that lie below t; falling.
std::vector<int64_t> steps_below(int64_t t, int64_t n_trained, int64_t n_steps) {
  const int64_t stride = n_trained / n_steps;
  std::vector<int64_t> steps;
  for (int64_t i = n_steps - 1; i >= 0; --i)
    if (const int64_t step = i * stride + 1; step < t) steps.push_back(step);
  return steps;
}

Views rows_of(const Views& views, int64_t begin, int64_t n) {
  const auto cut = [&](const at::Tensor& x) { return x.defined() ? x.slice(0, begin, begin + n) : x; };
  Views some = views;
  some.rgb = cut(views.rgb).detach();
  some.angles = {cut(views.angles.elevation_deg), cut(views.angles.azimuth_deg), cut(views.angles.distance)};
  some.camera_to_world = cut(views.camera_to_world), some.mvp = cut(views.mvp);
  return some;
}

}  // namespace

Denoised denoise_from(const at::Tensor& noisy, int64_t t, const diffusion::NoiseSchedule& schedule,
                      const NoiseAt& noise_at, Rng& rng, int64_t n_steps) {
  T3D_CHECK(t >= 0 && t < schedule.n_steps() && n_steps > 0, "t ", t, ", steps ", n_steps);
  std::vector<int64_t> walk = steps_below(t, schedule.n_steps(), std::min(n_steps, schedule.n_steps()));
  walk.insert(walk.begin(), t);
  Denoised out;
  auto x = noisy;
  for (size_t i = 0; i < walk.size(); ++i) {
    const auto at_step =
        at::full({x.size(0)}, walk[i], at::TensorOptions().dtype(at::kLong).device(x.device()));
    const auto noise = noise_at(x, at_step);
    const double a = std::max(schedule.alpha_bar(walk[i]), kLeastSignal);
    const auto clean = (x - std::sqrt(1 - a) * noise) / std::sqrt(a);
    // As threestudio's samplers, the walk ends with the little noise of the first trained step.
    const double next = schedule.alpha_bar(i + 1 < walk.size() ? walk[i + 1] : 0);
    const double variance = std::max((1 - next) / (1 - a) * (1 - a / next), 0.0);
    x = std::sqrt(next) * clean + std::sqrt(std::max(1 - next - variance, 0.0)) * noise +
        std::sqrt(variance) * draw_normal(x.sizes(), rng, x.device());
    if (i == 0) out.one_step = x, out.clean = clean;
  }
  out.last = x;
  return out;
}

GuidancePictures ScoreDistillation::show(const Views& views, const Shown& shown, Rng& rng,
                                         const std::function<NoiseAt(const Views&)>& guided) const {
  const c10::NoGradGuard no_grad;
  check_rows(views);
  const int64_t n_rows = views.rgb.size(0), v = n_views();
  const int64_t wanted = shown.max_items < 0 ? n_rows : std::min(n_rows, shown.max_items);
  const int64_t n_objects = std::max<int64_t>(1, (wanted + v - 1) / v);
  const auto part = [v](const at::Tensor& x, int64_t object) {
    return x.defined() ? x.slice(0, object * v, object * v + v) : x;
  };
  const auto on_cpu = [](const at::Tensor& pictures) { return pictures.permute({0, 2, 3, 1}).to(at::kCPU); };
  std::vector<at::Tensor> rendered, noisy, one_step, clean, denoised;
  GuidancePictures out;
  for (int64_t k = 0; k < n_objects; ++k) {
    const Views object = rows_of(views, k * v, v);
    const auto images = pictures(object);
    const auto x = latents_of(images, object.is_latent, part(shown.vae_noise, k));  // [V,C,s,s]
    // One timestep for all views of an object, and for the whole batch where only one was drawn.
    const int64_t t = shown.t.host.at(shown.t.host.size() == 1 ? 0 : static_cast<size_t>(k * v));
    const auto at_t = Timesteps::of({t}, device()).device;
    const auto x_t = schedule().add_noise(x, part(shown.noise, k), at_t);
    const Denoised walk = denoise_from(x_t, t, schedule(), guided(object), rng);
    rendered.push_back(on_cpu(object.is_latent ? pictures_of(x) : images.clamp(0, 1)));
    noisy.push_back(on_cpu(pictures_of(x_t)));
    one_step.push_back(on_cpu(pictures_of(walk.one_step)));
    clean.push_back(on_cpu(pictures_of(walk.clean)));
    denoised.push_back(on_cpu(pictures_of(walk.last)));
    const double level = static_cast<double>(t) / static_cast<double>(schedule().n_steps());
    out.noise_level.insert(out.noise_level.end(), static_cast<size_t>(v), level);
  }
  out.rendered = at::cat(rendered), out.noisy = at::cat(noisy), out.one_step = at::cat(one_step);
  out.clean = at::cat(clean), out.denoised = at::cat(denoised);
  return out;
}

}  // namespace t3d::guidance
