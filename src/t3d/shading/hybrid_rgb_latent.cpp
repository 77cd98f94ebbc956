#include "t3d/shading/hybrid_rgb_latent.h"

#include <ATen/ATen.h>

namespace t3d::shading {

HybridRgbLatent::HybridRgbLatent(const Config& config, const field::BuildContext&)
    : config_(config),
      activation_(field::activation_by_name(config.color_activation, "material.color_activation")) {}

at::Tensor HybridRgbLatent::operator()(const ShadingInput& input, Rng&) const {
  const int64_t n = config_.n_output_dims;
  const auto features = first_channels(input.features, n, "hybrid-rgb-latent-material");  // [N,C]
  if (features.size(-1) != input.features.size(-1))
    throw UserError(cat("the geometry gives ", input.features.size(-1),
                        " feature channels, but the material has n_output_dims ", n,
                        ". Give geometry.n_feature_dims and material.n_output_dims the same number."));
  return at::cat({activation_(features.narrow(-1, 0, 3)), features.narrow(-1, 3, n - 3)}, -1);
}

}  // namespace t3d::shading
