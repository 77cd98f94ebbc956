#include "t3d/render/render_request.h"

#include <ATen/ATen.h>

#include <utility>
#include <vector>

#include "t3d/core/error.h"
#include "t3d/field/geometry.h"

namespace t3d::render {

struct RenderRequest::MadeRays {
  std::function<Rays()> make;
  Rays rays;
};

RenderRequest::RenderRequest(int64_t n_images, ImageSize size, std::function<Rays()> make_rays)
    : n_images_(n_images),
      whole_(size),
      window_{0, 0, size.height, size.width},
      rays_(std::make_shared<MadeRays>(MadeRays{std::move(make_rays), {}})) {}

const Rays& RenderRequest::rays() const {
  if (rays_->make) {
    rays_->rays = rays_->make();
    rays_->make = nullptr;
    const std::vector<int64_t> expected = {n_images_, window_.height, window_.width, 3};
    T3D_CHECK(rays_->rays.origins.sizes() == expected && rays_->rays.directions.sizes() == expected, "rays ",
              rays_->rays.origins.sizes(), " and ", rays_->rays.directions.sizes(), ", expected ",
              at::IntArrayRef(expected));
  }
  return rays_->rays;
}

RenderRequest RenderRequest::derived(
    const std::function<at::Tensor(const at::Tensor&)>& of_origins,
    const std::function<at::Tensor(const at::Tensor&)>& of_directions) const {
  RenderRequest out = *this;
  out.rays_ = std::make_shared<MadeRays>();
  out.rays_->make = [whole = *this, of_origins, of_directions] {
    return Rays{of_origins(whole.rays().origins), of_directions(whole.rays().directions)};
  };
  return out;
}

RenderRequest RenderRequest::image(int64_t index) const {
  const auto one = [index](const at::Tensor& t) { return t.narrow(0, index, 1); };
  RenderRequest out = derived(one, one);
  out.n_images_ = 1;
  for (at::Tensor* t : {&out.c2w, &out.mvp, &out.light_positions, &out.background})
    if (t->defined()) *t = one(*t);
  return out;
}

RenderRequest RenderRequest::part(const Window& window) const {
  T3D_CHECK(window.y >= 0 && window.x >= 0 && window.y + window.height <= height() &&
                window.x + window.width <= width(),
            "a part that reaches out of the image");
  const auto cut = [window](const at::Tensor& t) {
    return t.narrow(1, window.y, window.height).narrow(2, window.x, window.width);
  };
  RenderRequest out = derived(cut, cut);
  out.window_ = {window_.y + window.y, window_.x + window.x, window.height, window.width};
  if (background.defined() && background.dim() == 4) out.background = cut(background);
  return out;
}

RenderRequest RenderRequest::resized(ImageSize size) const {
  T3D_CHECK(height() == whole_.height && width() == whole_.width, "a part of an image is not resized");
  const auto resize = [size](const at::Tensor& t) { return resized_images(t, size); };
  RenderRequest out = derived(resize, resize);
  out.whole_ = size;
  out.window_ = {0, 0, size.height, size.width};
  if (background.defined() && background.dim() == 4) out.background = resize(background);
  return out;
}

RenderRequest RenderRequest::with_unit_rays() const {
  return derived([](const at::Tensor& t) { return t; }, field::unit_rows);
}

at::Tensor resized_images(const at::Tensor& images, ImageSize size) {
  return at::upsample_bilinear2d(images.permute({0, 3, 1, 2}), {size.height, size.width},
                                 /*align_corners=*/false)
      .permute({0, 2, 3, 1});
}

}  // namespace t3d::render
