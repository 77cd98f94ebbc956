#pragma once

#include "t3d/core/config/fields.h"
#include "t3d/shading/material.h"

namespace t3d::shading {

/// From the four latent channels of Stable Diffusion to colour by a matrix that learns, which starts from the
/// linear approximation of the decoder:  colour = clamp((features A + 1)/2, 0, 1), A [4,3]. Exports nothing.
class SdLatentAdapter : public Material {
 public:
  struct Config {
    template <class V>
    void visit(V&) {}
  };
  SdLatentAdapter(const Config& config, const field::BuildContext& context);
  bool requires_normal() const override { return false; }
  at::Tensor operator()(const ShadingInput& input, Rng& rng) const override;
  MaterialMaps maps(const at::Tensor&) const override { return {}; }
  void collect(const std::string& prefix, field::NamedTensors& parameters,
               field::NamedTensors& buffers) const override;

 private:
  at::Tensor adapter_;  // [4,3]
};

}  // namespace t3d::shading
