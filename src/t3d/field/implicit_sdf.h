#pragma once

#include <string>
#include <variant>

#include "t3d/field/encoding.h"
#include "t3d/field/geometry_config.h"
#include "t3d/field/implicit_surface.h"
#include "t3d/field/network.h"
#include "t3d/field/sdf_shape.h"

namespace t3d::field {

/// A signed distance and features from one encoding and separate networks: threestudio's implicit-sdf.
///
///   u = (x - box_min) / (box_max - box_min),  sdf = mlp(enc(u)) + bias(x)
///
/// The normal is the sdf's slope made unit; the slope itself, which a distance has at length 1, goes out as
/// sdf_grad. Differences are taken over a fixed step, or over one cell of the finest level of the encoding
/// that is open now (Li et al. 2023, Neuralangelo, arXiv:2306.03092, section 3.2).
class ImplicitSdf : public Geometry, public DistanceField, public AppearanceField, public ImplicitSurface {
 public:
  struct Config : ImplicitConfig, ShapeInitConfig {
    Config() { isosurface_remove_outliers = false; }
    config::Node pos_encoding_config = default_position_encoding();
    config::Node mlp_network_config = default_network();
    std::variant<float, std::string> finite_difference_normal_eps = 0.01f;
    std::variant<float, std::string> sdf_bias = 0.f;
    config::Node sdf_bias_params;
    bool force_shape_init = false;

    template <class V>
    void visit(V& v) {
      using namespace config;
      visit_common(v);
      v("pos_encoding_config", pos_encoding_config, any(), "encoding of positions");
      v("mlp_network_config", mlp_network_config, any(), "network of distance, features and normal");
      v("finite_difference_normal_eps", finite_difference_normal_eps, any(),
        "step of the differences; progressive: a cell of the finest open level");
      v("sdf_bias", sdf_bias, any(), "sphere, ellipsoid or a number, added to the network");
      v("sdf_bias_params", sdf_bias_params, any(), "radius, or three half axes");
      visit_shape_init(v);
      v("force_shape_init", force_shape_init, any(), "also over weights that were loaded");
    }
  };

  ImplicitSdf(const Config& config, const BuildContext& context);

  float radius() const override { return config_.radius; }
  const DistanceField* distance() const override { return this; }
  const SurfaceField* surface() const override { return this; }
  const AppearanceField* appearance() const override { return this; }
  float surface_level() const override;
  GeometryOutput samples_at(const at::Tensor& points, bool with_normals) const override;
  at::Tensor distance_at(const at::Tensor& points) const override;
  at::Tensor features_at(const at::Tensor& points) const override;
  void initialize_shape(bool has_weights) override;
  void check_shape(bool has_weights) const override;
  void start_as(const Geometry& previous, bool with_features) override;
  void collect(const std::string& prefix, NamedTensors& parameters, NamedTensors& buffers) const override;
  void update_step(int64_t step) override;

  /// Length of the differences' step now.
  float normal_eps() const;

 protected:
  LatticeValues values_at(const at::Tensor& points) const override;

 private:
  /// What initialize_shape aims at; empty: nothing.
  ShapeFunction first_shape(bool has_weights) const;
  at::Tensor encoded(const at::Tensor& points) const;  // [N,E]
  at::Tensor biased(const at::Tensor& encoded, const at::Tensor& points) const;

  Config config_;
  uint64_t init_seed_;
  c10::Device device_;
  RunControl control_;
  ShapeFunction bias_;  ///< empty: the number
  std::unique_ptr<Encoding> encoding_;
  std::unique_ptr<Network> sdf_network_, feature_network_, normal_network_, deformation_network_;
  at::Tensor box_;  // [2,3]
};

}  // namespace t3d::field
