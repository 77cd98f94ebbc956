#pragma once

#include "t3d/core/config/fields.h"
#include "t3d/field/activation.h"
#include "t3d/shading/material.h"

namespace t3d::shading {

/// Features are the image of a latent diffusion model: the activation makes a colour of the first three, the
/// others stay as they are. Exports nothing.
class HybridRgbLatent : public Material {
 public:
  struct Config {
    int n_output_dims = 3;
    std::string color_activation = "sigmoid";
    bool requires_normal = true;
    template <class V>
    void visit(V& v) {
      using namespace config;
      v("n_output_dims", n_output_dims, in_range(3, 128), "channels");
      v("color_activation", color_activation, any(), "makes the colour of the first three");
      v("requires_normal", requires_normal, any(), "the geometry is asked for normals");
    }
  };
  HybridRgbLatent(const Config& config, const field::BuildContext& context);
  bool requires_normal() const override { return config_.requires_normal; }
  at::Tensor operator()(const ShadingInput& input, Rng& rng) const override;
  MaterialMaps maps(const at::Tensor&) const override { return {}; }

 private:
  Config config_;
  field::ActivationFunction activation_;
};

}  // namespace t3d::shading
