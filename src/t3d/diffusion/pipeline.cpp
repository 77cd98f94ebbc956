#include "t3d/diffusion/pipeline.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "t3d/core/error.h"
#include "t3d/core/interrupt.h"
#include "t3d/core/rng.h"

namespace t3d::diffusion {

TextToImage::TextToImage(std::shared_ptr<const Denoiser> denoiser, SchedulerConfig scheduler, Decode decode,
                         c10::Device device)
    : denoiser_(std::move(denoiser)),
      scheduler_(std::move(scheduler)),
      decode_(std::move(decode)),
      device_(device) {
  scheduler_.prediction = denoiser_->prediction();
}

at::Tensor TextToImage::latents(const at::Tensor& text, const at::Tensor& negative, const SampleOptions& o,
                                const OnStep& on_step) const {
  const c10::NoGradGuard no_grad;
  const bool guided = o.guidance != 1;
  const int64_t n_views = o.camera.defined() ? o.camera.size(0) : 1;
  T3D_CHECK(text.dim() == 3 && text.size(0) == 1, "text ", text.sizes());
  T3D_CHECK(!guided || negative.sizes() == text.sizes(), "negative ", negative.sizes());

  const std::vector<int64_t> shape{n_views, denoiser_->latent_channels(), o.latent_height, o.latent_width};
  Rng rng(o.seed);
  const NoiseSource noise = [&] {
    auto drawn = at::empty(shape, at::kFloat);
    auto* to = drawn.data_ptr<float>();
    for (int64_t i = 0; i < drawn.numel(); ++i) to[i] = rng.normal();
    return drawn.to(device_);
  };

  // Guidance takes both rows in one call: the prompt's views first.
  const auto twice = [guided](const at::Tensor& x) { return guided && x.defined() ? at::cat({x, x}) : x; };
  Condition condition;
  condition.text = text.expand({n_views, -1, -1});
  if (guided) condition.text = at::cat({condition.text, negative.expand({n_views, -1, -1})});
  condition.n_views = n_views;
  if (o.camera.defined()) condition.camera = twice(o.camera.to(device_));
  if (o.class_labels.defined()) condition.class_labels = twice(o.class_labels.to(device_));

  const auto scheduler = make_scheduler(scheduler_);
  scheduler->start(o.n_steps);
  auto x = noise() * scheduler->init_noise_sigma();  // [V,C,h,w]
  const auto n_calls = static_cast<int64_t>(scheduler->timesteps().size());
  for (int64_t i = 0; !scheduler->done(); ++i) {
    o.stop.throw_if_requested("nothing was written");
    const auto t =
        at::full({1}, scheduler->timestep(), at::TensorOptions().dtype(at::kFloat).device(device_));
    auto output = denoiser_->predict(twice(scheduler->scaled_input(x)), t, condition);
    if (guided) {
      const auto rows = output.chunk(2);
      output = rows[1] + o.guidance * (rows[0] - rows[1]);
    }
    x = scheduler->step(output, x, noise);
    if (on_step) on_step(i + 1, n_calls);
  }
  return x;
}

at::Tensor TextToImage::operator()(const at::Tensor& text, const at::Tensor& negative,
                                   const SampleOptions& options, const OnStep& on_step) const {
  const c10::NoGradGuard no_grad;
  const auto x = latents(text, negative, options, on_step);
  if (!at::isfinite(x).all().item<bool>())
    throw UserError(cat("sampling with guidance ", options.guidance,
                        " left the range of numbers. Lower --guidance, or use another type (--dtype)."));
  const auto picture = decode_(x).to(at::kFloat);  // [V,3,H,W]
  return (picture * 0.5 + 0.5).clamp(0, 1).cpu();
}

}  // namespace t3d::diffusion
