#pragma once

#include <memory>

#include "t3d/core/config/fields.h"
#include "t3d/field/activation.h"
#include "t3d/field/network.h"
#include "t3d/shading/material.h"

namespace t3d::shading {

/// Features, or a network of them, are the colour. Light plays no part.
class NoMaterial : public Material {
 public:
  struct Config {
    int n_output_dims = 3;
    std::string color_activation = "sigmoid";
    std::optional<int> input_feature_dims;
    config::Node mlp_network_config;
    bool requires_normal = false;
    template <class V>
    void visit(V& v) {
      using namespace config;
      v("n_output_dims", n_output_dims, in_range(0, 128), "channels; 0 where nothing is coloured");
      v("color_activation", color_activation, any(), "makes the colour");
      v("input_feature_dims", input_feature_dims, in_range(1, 1024),
        "channels of the features, with a network");
      v("mlp_network_config", mlp_network_config, any(), "network from features to colour");
      v("requires_normal", requires_normal, any(), "the geometry is asked for normals");
    }
  };
  NoMaterial(const Config& config, const field::BuildContext& context);
  bool requires_normal() const override { return config_.requires_normal; }
  at::Tensor operator()(const ShadingInput& input, Rng& rng) const override;
  /// The albedo: the first three channels of the colour.
  MaterialMaps maps(const at::Tensor& features) const override;
  void collect(const std::string& prefix, field::NamedTensors& parameters,
               field::NamedTensors& buffers) const override;

 private:
  at::Tensor colour(const at::Tensor& features) const;

  Config config_;
  field::ActivationFunction activation_;
  std::unique_ptr<field::Network> network_;
};

}  // namespace t3d::shading
