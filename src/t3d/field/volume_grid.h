#pragma once

#include "t3d/field/activation.h"
#include "t3d/field/density_bias.h"
#include "t3d/field/geometry_config.h"
#include "t3d/field/implicit_surface.h"

namespace t3d::field {

/// A density and features in one dense grid, read with trilinear weights: threestudio's volume-grid.
///
///   density = act(grid_0(x) * exp(s) + bias(x)); s is learned where the bias is a number, else 0
class VolumeGrid : public Geometry, public DensityField, public AppearanceField, public ImplicitSurface {
 public:
  struct Config : ImplicitConfig {
    Config() { isosurface_threshold = std::string("auto"); }
    std::array<int, 3> grid_size = {100, 100, 100};
    std::string density_activation = "softplus";
    std::variant<float, std::string> density_bias = "blob";
    float density_blob_scale = 5, density_blob_std = 0.5f;

    template <class V>
    void visit(V& v) {
      using namespace config;
      visit_common(v);
      v("grid_size", grid_size, in_range(2, 1024), "samples along z, y and x");
      v("density_activation", density_activation, any(), "makes the density");
      v("density_bias", density_bias, any(), "blob or a number");
      v("density_blob_scale", density_blob_scale, any(), "height of the blob");
      v("density_blob_std", density_blob_std, positive(), "width of the blob");
    }
  };

  VolumeGrid(const Config& config, const BuildContext& context);

  float radius() const override { return config_.radius; }
  const DensityField* density() const override { return this; }
  const SurfaceField* surface() const override { return this; }
  const AppearanceField* appearance() const override { return this; }
  GeometryOutput samples_at(const at::Tensor& points, bool with_normals) const override;
  at::Tensor density_at(const at::Tensor& points) const override;
  at::Tensor features_at(const at::Tensor& points) const override;
  void collect(const std::string& prefix, NamedTensors& parameters, NamedTensors& buffers) const override;

 protected:
  LatticeValues values_at(const at::Tensor& points) const override { return {density_at(points), {}}; }

 private:
  at::Tensor read(const at::Tensor& grid, const at::Tensor& points) const;  // [N,C]
  at::Tensor activated(const at::Tensor& raw, const at::Tensor& points) const;

  Config config_;
  DensityBias bias_;
  ActivationFunction activation_;
  at::Tensor grid_;           // [1,1+F,G1,G2,G3]
  at::Tensor normal_grid_;    // [1,3,G1,G2,G3], normal_type pred only
  at::Tensor density_scale_;  // []
  at::Tensor box_;            // [2,3]
};

}  // namespace t3d::field
