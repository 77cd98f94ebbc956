#include "t3d/shading/diffuse_point_light.h"

#include <ATen/ATen.h>

namespace t3d::shading {

DiffusePointLight::DiffusePointLight(const Config& config, const field::BuildContext& context)
    : config_(config),
      activation_(field::activation_by_name(config.albedo_activation, "material.albedo_activation")),
      ambient_(at::tensor(at::ArrayRef<float>(config.ambient_light_color)).to(context.device)),
      diffuse_(at::tensor(at::ArrayRef<float>(config.diffuse_light_color)).to(context.device)) {
  update_step(0);
}

at::Tensor DiffusePointLight::operator()(const ShadingInput& input, Rng& rng) const {
  return shade(input, [&rng] { return rng.uniform(); });
}

at::Tensor DiffusePointLight::shade(const ShadingInput& in, const std::function<float()>& uniform) const {
  const auto base = albedo(in.features);    // [N,3]
  at::Tensor ka = ambient_, kd = diffuse_;  // [3]
  if (in.ambient_ratio) {
    ka = at::full_like(ambient_, *in.ambient_ratio), kd = 1 - ka;
  } else if (in.is_training && config_.soft_shading) {
    kd = at::full_like(diffuse_, uniform()), ka = 1 - kd;
  }
  const std::string mode = in.shading ? *in.shading : draw_mode(in.is_training, uniform);
  if (mode == "albedo") return base;
  const auto to_light = in.light_positions - in.positions;
  const auto l = to_light / to_light.norm(2, at::IntArrayRef{-1}, true).clamp_min(1e-12);
  const auto shade = ka + kd * (in.shading_normal * l).sum(-1, true).clamp_min(0);  // [N,3]
  if (mode == "textureless") return shade;
  if (mode == "diffuse") return base.clamp(0, 1) * shade;
  throw UserError(cat("there is no shading named ", mode, ". Use albedo, textureless or diffuse."));
}

MaterialMaps DiffusePointLight::maps(const at::Tensor& features) const {
  return {{"albedo", albedo(features).clamp(0, 1)}};
}

void DiffusePointLight::collect(const std::string& prefix, field::NamedTensors&,
                                field::NamedTensors& buffers) const {
  buffers.emplace(prefix + "ambient_light_color", ambient_);
  buffers.emplace(prefix + "diffuse_light_color", diffuse_);
}

at::Tensor DiffusePointLight::albedo(const at::Tensor& features) const {
  return activation_(first_channels(features, 3, "diffuse-with-point-light-material"));
}

std::string DiffusePointLight::draw_mode(bool is_training, const std::function<float()>& uniform) const {
  if (!is_training) return is_ambient_only_ || config_.ambient_only_on_test ? "albedo" : "diffuse";
  if (is_ambient_only_ || uniform() > config_.diffuse_prob) return "albedo";
  return uniform() < config_.textureless_prob ? "textureless" : "diffuse";
}

}  // namespace t3d::shading
