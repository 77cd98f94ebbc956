#include "t3d/field/surface_features.h"

#include <ATen/ATen.h>

namespace t3d::field {

SurfaceFeatures::SurfaceFeatures(const FeatureConfig& config, float radius, const BuildContext& context)
    : radius_(radius),
      encoding_(make_encoding(config.n_input_dims, config.pos_encoding_config, "geometry.pos_encoding_config",
                              context.part("encoding"))) {
  if (config.n_feature_dims > 0)
    network_ = make_network(encoding_->n_outputs(), config.n_feature_dims, config.mlp_network_config,
                            "geometry.mlp_network_config", context.part("feature_network"));
}

at::Tensor SurfaceFeatures::features_at(const at::Tensor& points) const {
  return network_ ? (*network_)((*encoding_)((points + radius_) / (2 * radius_))) : at::Tensor();
}

void SurfaceFeatures::collect(const std::string& prefix, NamedTensors& parameters,
                              NamedTensors& buffers) const {
  encoding_->collect(prefix + "encoding.encoding.", parameters, buffers);
  if (network_) network_->collect(prefix + "feature_network.", parameters, buffers);
}

}  // namespace t3d::field
