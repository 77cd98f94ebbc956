#pragma once

#include <optional>

#include "t3d/field/geometry.h"
#include "t3d/field/geometry_config.h"
#include "t3d/field/surface_features.h"
#include "t3d/io/mesh.h"

namespace t3d::field {

/// A mesh file whose shape stays as it is and whose features learn: threestudio's custom-mesh. The file is
/// prepared as for shape_init (sdf_shape.h); of its look texture coordinates are kept alone.
class CustomMesh : public Geometry, public SurfaceField, public AppearanceField {
 public:
  struct Config : FeatureConfig, ShapeInitConfig {
    float radius = 1;
    std::optional<std::string> weights;

    template <class V>
    void visit(V& v) {
      using namespace config;
      v("radius", radius, positive(), "the features lie in [-radius, radius]^3");
      visit_shape_init(v);
      visit_features(v);
      v("weights", weights, any(), "start from path/to/last.ckpt:geometry");
    }
  };

  /// Throws UserError where shape_init is no mesh:PATH or shape_init_params no size, and what
  /// read_shape_mesh throws.
  CustomMesh(const Config& config, const BuildContext& context);

  float radius() const override { return config_.radius; }
  const SurfaceField* surface() const override { return this; }
  const AppearanceField* appearance() const override { return this; }
  mesh::SurfaceMesh surface_mesh() const override { return mesh_; }
  at::Tensor features_at(const at::Tensor& points) const override { return features_.features_at(points); }
  void start_as(const Geometry& previous, bool with_features) override;
  void collect(const std::string& prefix, NamedTensors& parameters, NamedTensors& buffers) const override;
  void update_step(int64_t step) override { features_.update_step(step); }

 private:
  Config config_;
  SurfaceFeatures features_;
  mesh::SurfaceMesh mesh_;
  at::Tensor box_;  // [2,3]
};

/// A mesh of a file with vertices at one place joined, on the CPU. Texture coordinates keep faces of their
/// own, so that normals have no seams where the texture has some.
mesh::SurfaceMesh joined_surface(const io::Mesh& mesh);

}  // namespace t3d::field
