#include "t3d/system/strips.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

namespace t3d::system {
namespace {

using render::pictures_of;
using render::RenderOutput;
using render::samples_of;

}  // namespace

StripRenderer::StripRenderer(render::Renderer& renderer, const data::CameraBatch& batch,
                             const at::Tensor& background, int64_t max_rays, const Rng& rng)
    : renderer_(renderer), batch_(batch), background_(background), rng_(rng) {
  const int64_t n_rows = std::max<int64_t>(1, max_rays / batch.width);
  for (int64_t image = 0; image < batch.n(); ++image)
    for (int64_t row = 0; row < batch.height; row += n_rows)
      strips_.push_back({image, row, std::min(n_rows, batch.height - row)});
}

at::Tensor StripRenderer::part_of(const at::Tensor& pictures, const Strip& strip) {
  return pictures.narrow(0, strip.image, 1).narrow(1, strip.first_row, strip.n_rows);
}

RenderOutput StripRenderer::render(size_t index, const at::Tensor& background) const {
  const Strip& strip = strips_[index];
  render::RenderRays rays;
  rays.origins = part_of(batch_.rays_o, strip);
  rays.directions = part_of(batch_.rays_d, strip);
  rays.light_positions = batch_.light_positions.narrow(0, strip.image, 1);
  rays.background = background;
  rays.picture_draws = rng_;
  const auto state = rng_.state();
  Rng rng(state[0], state[1] ^ ((index + 1) << 20));
  return renderer_(rays, /*is_training=*/true, rng);
}

Strips StripRenderer::without_graph() const {
  Strips out;
  std::vector<RenderOutput> parts;
  {
    const c10::NoGradGuard no_grad;
    for (size_t i = 0; i < strips_.size(); ++i) {
      parts.push_back(render(i, part_of(background_, strips_[i]).detach()));
      out.n_samples.push_back(parts.back().weights.size(0));
    }
  }
  const auto pictures = pictures_of(out.joined), samples = samples_of(out.joined);
  for (size_t k = 0; k < pictures.size(); ++k) {
    if (!pictures_of(parts[0])[k]->defined()) continue;
    std::vector<at::Tensor> images;
    for (size_t i = 0; i < strips_.size();) {
      std::vector<at::Tensor> rows;
      for (const int64_t image = strips_[i].image; i < strips_.size() && strips_[i].image == image; ++i)
        rows.push_back(*pictures_of(parts[i])[k]);
      images.push_back(at::cat(rows, 1));
    }
    *pictures[k] = at::cat(images).detach().requires_grad_(true);
  }
  for (size_t k = 0; k < samples.size(); ++k) {
    if (!samples_of(parts[0])[k]->defined()) continue;
    std::vector<at::Tensor> all;
    for (auto& part : parts) all.push_back(*samples_of(part)[k]);
    *samples[k] = at::cat(all).detach().requires_grad_(true);
  }
  std::vector<at::Tensor> rays;
  for (size_t i = 0; i < strips_.size(); ++i)
    rays.push_back(parts[i].ray_indices +
                   (strips_[i].image * batch_.height + strips_[i].first_row) * batch_.width);
  out.joined.ray_indices = at::cat(rays);
  out.joined.inv_std = parts[0].inv_std;
  return out;
}

void StripRenderer::backward(const Strips& whole) const {
  auto joined = whole.joined;  // shares the tensors
  const auto pictures = pictures_of(joined), samples = samples_of(joined);
  const bool has_background = background_.requires_grad();
  at::Tensor background_gradient = has_background ? at::zeros_like(background_) : at::Tensor();
  int64_t first_sample = 0;
  for (size_t i = 0; i < strips_.size(); ++i) {
    auto background = part_of(background_, strips_[i]).detach();
    if (has_background) background.requires_grad_(true);
    RenderOutput part = render(i, background);
    std::vector<at::Tensor> outputs, gradients;
    const auto add = [&](const at::Tensor& output, const at::Tensor& gradient) {
      if (!output.defined() || !output.requires_grad() || !gradient.defined()) return;
      outputs.push_back(output);
      gradients.push_back(gradient);
    };
    for (size_t k = 0; k < pictures.size(); ++k)
      if (pictures[k]->defined() && pictures[k]->grad().defined())
        add(*pictures_of(part)[k], part_of(pictures[k]->grad(), strips_[i]));
    for (size_t k = 0; k < samples.size(); ++k)
      if (samples[k]->defined() && samples[k]->grad().defined())
        add(*samples_of(part)[k], samples[k]->grad().narrow(0, first_sample, whole.n_samples[i]));
    first_sample += whole.n_samples[i];
    if (outputs.empty()) continue;
    torch::autograd::backward(outputs, gradients);
    if (has_background && background.grad().defined())
      part_of(background_gradient, strips_[i]).copy_(background.grad());
  }
  if (has_background) background_.backward(background_gradient);
}

}  // namespace t3d::system
