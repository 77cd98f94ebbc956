#pragma once

#include "t3d/field/activation.h"
#include "t3d/field/density_bias.h"
#include "t3d/field/encoding.h"
#include "t3d/field/geometry_config.h"
#include "t3d/field/implicit_surface.h"
#include "t3d/field/network.h"

namespace t3d::field {

/// A density and features from one encoding and separate networks: threestudio's implicit-volume.
///
///   u = (x - box_min) / (box_max - box_min),  density = act(mlp(enc(u)) + bias(x))
class ImplicitVolume : public Geometry, public DensityField, public AppearanceField, public ImplicitSurface {
 public:
  struct Config : ImplicitConfig {
    Config() { isosurface_threshold = 25.f; }
    config::Node pos_encoding_config = default_position_encoding();
    config::Node mlp_network_config = default_network();
    std::string density_activation = "softplus";
    std::variant<float, std::string> density_bias = "blob_magic3d";
    float density_blob_scale = 10, density_blob_std = 0.5f;
    float finite_difference_normal_eps = 0.01f;
    config::Node anneal_density_blob_std_config;

    template <class V>
    void visit(V& v) {
      using namespace config;
      visit_common(v);
      v("pos_encoding_config", pos_encoding_config, any(), "encoding of positions");
      v("mlp_network_config", mlp_network_config, any(), "network of density, features and normal");
      v("density_activation", density_activation, any(), "makes the density");
      v("density_bias", density_bias, any(), "blob_magic3d, blob_dreamfusion or a number");
      v("density_blob_scale", density_blob_scale, any(), "height of the blob");
      v("density_blob_std", density_blob_std, positive(), "width of the blob");
      v("finite_difference_normal_eps", finite_difference_normal_eps, positive(), "step of the differences");
      v("anneal_density_blob_std_config", anneal_density_blob_std_config,
        ignored("the blob keeps its width, as it does in threestudio"), "width over steps");
    }
  };

  ImplicitVolume(const Config& config, const BuildContext& context);

  float radius() const override { return config_.radius; }
  const DensityField* density() const override { return this; }
  const SurfaceField* surface() const override { return this; }
  const AppearanceField* appearance() const override { return this; }
  GeometryOutput samples_at(const at::Tensor& points, bool with_normals) const override;
  at::Tensor density_at(const at::Tensor& points) const override;
  at::Tensor features_at(const at::Tensor& points) const override;
  void start_as(const Geometry& previous, bool with_features) override;
  void collect(const std::string& prefix, NamedTensors& parameters, NamedTensors& buffers) const override;
  void update_step(int64_t step) override;

 protected:
  LatticeValues values_at(const at::Tensor& points) const override { return {density_at(points), {}}; }

 private:
  at::Tensor encoded(const at::Tensor& points) const;  // [N,E]
  at::Tensor activated(const at::Tensor& encoded, const at::Tensor& points) const;

  Config config_;
  DensityBias bias_;
  ActivationFunction activation_;
  std::unique_ptr<Encoding> encoding_;
  std::unique_ptr<Network> density_network_, feature_network_, normal_network_;
  at::Tensor box_;  // [2,3]
};

}  // namespace t3d::field
