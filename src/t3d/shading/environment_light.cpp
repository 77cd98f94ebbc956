#include "t3d/shading/environment_light.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "t3d/core/error.h"
#include "t3d/raster/cube_map.h"
#include "t3d/raster/texture.h"

namespace t3d::shading {
namespace {

at::Tensor look_up(const at::Tensor& cube, const at::Tensor& directions) {
  const raster::TextureOptions options{raster::TextureFilter::Linear, raster::TextureBoundary::Cube, {}};
  return raster::texture(cube, directions.reshape({1, 1, -1, 3}), options).reshape({-1, 3});
}

}  // namespace

EnvironmentLight::EnvironmentLight(at::Tensor base, const EnvironmentLightOptions& options)
    : base_(std::move(base)), options_(options) {
  T3D_CHECK(base_.dim() == 4 && base_.size(0) == 6 && base_.size(1) == base_.size(2) && base_.size(3) == 3,
            "a light is [6,N,N,3], not ", base_.sizes());
}

EnvironmentLight::Filtered EnvironmentLight::filtered() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!filtered_.specular.empty() && version_ == base_._version()) return filtered_;
  const c10::NoGradGuard no_grad;
  version_ = base_._version();
  int n_halvings = 0;
  while (base_.size(1) >> n_halvings > options_.smallest) ++n_halvings;
  std::vector<at::Tensor> levels = raster::texture_mips(base_, n_halvings);
  levels.insert(levels.begin(), base_);
  filtered_.diffuse = diffuse_light(levels.back(), options_.weight).unsqueeze(0);
  filtered_.specular.clear();
  const auto last = static_cast<int>(levels.size()) - 1;
  for (int l = 0; l <= last; ++l) {
    const float part = static_cast<float>(l) / static_cast<float>(std::max(last - 1, 1));
    const float roughness =
        l == last ? 1.0f : options_.min_roughness + part * (options_.max_roughness - options_.min_roughness);
    filtered_.specular.push_back(
        glossy_light(levels[static_cast<size_t>(l)], roughness, cone_cosine(roughness), options_.weight)
            .unsqueeze(0));
  }
  return filtered_;
}

at::Tensor EnvironmentLight::diffuse(const at::Tensor& normals) const {
  return look_up(filtered().diffuse, normals);
}

at::Tensor EnvironmentLight::level_of(const at::Tensor& roughness) const {
  const float low = options_.min_roughness, high = options_.max_roughness;
  int n_below = 0;  // levels up to max_roughness
  while (base_.size(1) >> (n_below + 1) > options_.smallest) ++n_below;
  const at::Tensor fine = (roughness.clamp(low, high) - low) / (high - low) * n_below;
  const at::Tensor coarse = (roughness.clamp(high, 1) - high) / (1 - high) + n_below;
  return at::where(roughness < high, fine, coarse);
}

at::Tensor EnvironmentLight::specular(const at::Tensor& directions, const at::Tensor& roughness) const {
  const Filtered light = filtered();
  if (light.specular.size() == 1) return look_up(light.specular[0], directions);
  const raster::TextureOptions options{
      raster::TextureFilter::LinearMipmapLinear, raster::TextureBoundary::Cube, {}};
  const std::vector<at::Tensor> coarser(light.specular.begin() + 1, light.specular.end());
  return raster::texture(light.specular[0], directions.reshape({1, 1, -1, 3}), options, {},
                         level_of(roughness).reshape({1, 1, -1}), coarser)
      .reshape({-1, 3});
}

at::Tensor cube_of_latlong(const at::Tensor& latlong, int64_t n, UpAxis up) {
  T3D_CHECK(latlong.dim() == 3 && latlong.size(2) == 3, "a lat-long picture is [H,W,3], not ",
            latlong.sizes());
  constexpr double kPi = 3.14159265358979323846;
  const at::Tensor directions = raster::cube_directions(n);
  const at::Tensor d = directions / directions.norm(2, at::IntArrayRef{-1}, true);  // [6,n,n,3]
  const at::Tensor x = d.select(-1, 0), y = d.select(-1, 1), z = d.select(-1, 2);
  const bool is_upright = up == UpAxis::Z;
  const at::Tensor u = (is_upright ? at::atan2(-y, x) : at::atan2(x, -z)) / (2 * kPi) + 0.5;
  const at::Tensor v = at::acos((is_upright ? z : y).clamp(-1, 1)) / kPi;
  const at::Tensor places = at::stack({u, v}, -1).reshape({1, 6 * n, n, 2});
  return raster::texture(latlong.to(at::kCPU, at::kDouble).unsqueeze(0), places)
      .reshape({6, n, n, 3})
      .to(at::kFloat);
}

}  // namespace t3d::shading
