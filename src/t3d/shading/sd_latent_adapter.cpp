#include "t3d/shading/sd_latent_adapter.h"

#include <ATen/ATen.h>

namespace t3d::shading {

SdLatentAdapter::SdLatentAdapter(const Config&, const field::BuildContext& context) {
  const auto rows = at::tensor({0.298, 0.207, 0.208, 0.187, 0.286, 0.173,  //
                                -0.158, 0.189, 0.264, -0.184, -0.271, -0.473},
                               at::kFloat);
  adapter_ = field::learned(rows.reshape({4, 3}).to(context.device));
}

at::Tensor SdLatentAdapter::operator()(const ShadingInput& input, Rng&) const {
  const auto latents = first_channels(input.features, 4, "sd-latent-adapter-material");  // [N,4]
  if (input.features.size(-1) != 4)
    throw UserError(cat("the geometry gives ", input.features.size(-1),
                        " feature channels, but sd-latent-adapter-material takes the 4 of a latent. Set "
                        "geometry.n_feature_dims to 4."));
  return ((at::matmul(latents, adapter_) + 1) / 2).clamp(0, 1);
}

void SdLatentAdapter::collect(const std::string& prefix, field::NamedTensors& parameters,
                              field::NamedTensors&) const {
  parameters.emplace(prefix + "adapter", adapter_);
}

}  // namespace t3d::shading
