#include "t3d/render/strips.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

namespace t3d::render {

StripRenderer::StripRenderer(Renderer& renderer, const RenderRequest& request, const at::Tensor& background,
                             int64_t max_rays, const Rng& rng)
    : renderer_(renderer), request_(request), background_(background), rng_(rng) {
  const int64_t n_rows = std::max<int64_t>(1, max_rays / request.width());
  for (int64_t image = 0; image < request.n_images(); ++image)
    for (int64_t row = 0; row < request.height(); row += n_rows)
      strips_.push_back({image, row, std::min(n_rows, request.height() - row)});
}

at::Tensor StripRenderer::part_of(const at::Tensor& images, const Strip& strip) {
  return images.narrow(0, strip.image, 1).narrow(1, strip.first_row, strip.n_rows);
}

RenderOutput StripRenderer::render(size_t index, const at::Tensor& background) const {
  const Strip& strip = strips_[index];
  RenderRequest request =
      request_.image(strip.image).part({strip.first_row, 0, strip.n_rows, request_.width()});
  request.background = background;
  request.image_draws = rng_;
  const auto state = rng_.state();
  Rng rng(state[0], state[1] ^ ((index + 1) << 20));
  return renderer_(request, /*is_training=*/true, rng);
}

at::Tensor StripRenderer::joined(const OutputField& field, const std::vector<RenderOutput>& parts) const {
  if (!field.of_output(parts[0]).defined()) return {};
  std::vector<at::Tensor> all;
  switch (field.of) {
    case FieldOf::Pixels:
      for (size_t i = 0; i < strips_.size();) {
        std::vector<at::Tensor> rows;
        for (const int64_t image = strips_[i].image; i < strips_.size() && strips_[i].image == image; ++i)
          rows.push_back(field.of_output(parts[i]));
        all.push_back(at::cat(rows, 1));
      }
      return at::cat(all);
    case FieldOf::Samples:
      for (const RenderOutput& part : parts) all.push_back(field.of_output(part));
      return at::cat(all);
    case FieldOf::Rays:
      for (size_t i = 0; i < strips_.size(); ++i)
        all.push_back(field.of_output(parts[i]) +
                      (strips_[i].image * request_.height() + strips_[i].first_row) * request_.width());
      return at::cat(all);
    case FieldOf::All:
      break;
  }
  return field.of_output(parts[0]);
}

Strips StripRenderer::without_graph() const {
  Strips out;
  std::vector<RenderOutput> parts;
  const c10::NoGradGuard no_grad;
  for (size_t i = 0; i < strips_.size(); ++i) {
    parts.push_back(render(i, part_of(background_, strips_[i]).detach()));
    out.n_samples.push_back(parts.back().weights.size(0));
  }
  for (const OutputField& field : output_fields()) {
    const at::Tensor whole = joined(field, parts);
    if (!whole.defined()) continue;
    field.in(out.joined) = whole.is_floating_point() ? whole.detach().requires_grad_(true) : whole.detach();
  }
  return out;
}

void StripRenderer::backward(const Strips& whole) const {
  const bool has_background = background_.requires_grad();
  at::Tensor background_gradient = has_background ? at::zeros_like(background_) : at::Tensor();
  int64_t first_sample = 0;
  for (size_t i = 0; i < strips_.size(); ++i) {
    auto background = part_of(background_, strips_[i]).detach();
    if (has_background) background.requires_grad_(true);
    RenderOutput part = render(i, background);
    std::vector<at::Tensor> outputs, gradients;
    for (const OutputField& field : output_fields()) {
      const at::Tensor& output = field.of_output(part);
      if (!field.of_output(whole.joined).defined() || !output.defined() || !output.requires_grad()) continue;
      const at::Tensor& gradient = field.of_output(whole.joined).grad();
      if (!gradient.defined() || (field.of == FieldOf::All && i > 0)) continue;
      outputs.push_back(output);
      gradients.push_back(field.of == FieldOf::Pixels ? part_of(gradient, strips_[i])
                          : field.of == FieldOf::Samples
                              ? gradient.narrow(0, first_sample, whole.n_samples[i])
                              : gradient);
    }
    first_sample += whole.n_samples[i];
    if (outputs.empty()) continue;
    torch::autograd::backward(outputs, gradients);
    if (has_background && background.grad().defined())
      part_of(background_gradient, strips_[i]).copy_(background.grad());
  }
  if (has_background) background_.backward(background_gradient);
}

}  // namespace t3d::render
