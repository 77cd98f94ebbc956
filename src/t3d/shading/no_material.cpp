#include "t3d/shading/no_material.h"

#include <ATen/ATen.h>

namespace t3d::shading {

NoMaterial::NoMaterial(const Config& config, const field::BuildContext& context)
    : config_(config),
      activation_(field::activation_by_name(config.color_activation, "material.color_activation")) {
  if (config.input_feature_dims && !config.mlp_network_config.is_null())
    network_ =
        field::make_network(*config.input_feature_dims, config.n_output_dims, config.mlp_network_config,
                            "material.mlp_network_config", context.part("network"));
}

at::Tensor NoMaterial::operator()(const ShadingInput& input, Rng&) const {
  return colour(input.features);
}

MaterialMaps NoMaterial::maps(const at::Tensor& features) const {
  if (config_.n_output_dims == 0) return {};
  return {{"albedo", colour(features).narrow(-1, 0, 3).clamp(0, 1)}};
}

void NoMaterial::collect(const std::string& prefix, field::NamedTensors& parameters,
                         field::NamedTensors& buffers) const {
  if (network_) network_->collect(prefix + "network.", parameters, buffers);
}

at::Tensor NoMaterial::colour(const at::Tensor& features) const {
  if (network_) return activation_((*network_)(features));
  if (!features.defined() || features.size(-1) != config_.n_output_dims)
    throw UserError(cat("the geometry gives ", features.defined() ? features.size(-1) : 0,
                        " feature channels, but the material has n_output_dims ", config_.n_output_dims,
                        ". Set geometry.n_feature_dims to it, or give the material a network."));
  return activation_(features);
}

}  // namespace t3d::shading
