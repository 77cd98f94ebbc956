#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "t3d/field/geometry.h"
#include "t3d/field/geometry_config.h"
#include "t3d/field/sdf_shape.h"
#include "t3d/field/surface_features.h"
#include "t3d/mesh/tet_lattice.h"

namespace t3d::field {

/// A signed distance and an offset at each vertex of a lattice of tetrahedra, whose surface is a mesh that
/// learns; features from an encoding and a network: threestudio's tetrahedra-sdf-grid. Shen et al. 2021,
/// "Deep Marching Tetrahedra", arXiv:2111.04276; mesh::marching_tetrahedra has the equations.
///
/// The lattice fills isosurface_bbox, which is the box of the geometry or that of the shape that it began as;
/// features always lie in [-radius, radius]^3.
class TetrahedraSdfGrid : public Geometry, public SurfaceField, public AppearanceField {
 public:
  struct Config : OutlierConfig, FeatureConfig, ShapeInitConfig {
    Config() { isosurface_remove_outliers = false; }
    float radius = 1;
    int isosurface_resolution = 128;
    bool isosurface_deformable_grid = true;
    bool force_shape_init = false, geometry_only = false, fix_geometry = false;
    std::optional<std::string> weights;

    template <class V>
    void visit(V& v) {
      using namespace config;
      v("radius", radius, positive(), "the box is [-radius, radius]^3");
      v("isosurface_resolution", isosurface_resolution, in_range(4, 1024), "of the tetrahedra, along a side");
      v("isosurface_deformable_grid", isosurface_deformable_grid, any(),
        "vertices of the tetrahedra move, too, by less than 1/resolution of the box");
      visit_outliers(v);
      visit_shape_init(v);
      v("force_shape_init", force_shape_init, any(), "also over weights that were loaded");
      v("geometry_only", geometry_only, any(), "no features: the material colours nothing");
      v("fix_geometry", fix_geometry, any(), "the shape does not learn, only features do");
      visit_features(v);
      v("weights", weights, any(), "start from path/to/last.ckpt:geometry");
    }
  };

  TetrahedraSdfGrid(const Config& config, const BuildContext& context);

  float radius() const override { return config_.radius; }
  const SurfaceField* surface() const override { return this; }
  /// Null for geometry_only.
  const AppearanceField* appearance() const override { return features_ ? this : nullptr; }
  at::Tensor features_at(const at::Tensor& points) const override;
  /// With fix_geometry, cut once and kept until the shape is set anew.
  mesh::SurfaceMesh surface_mesh() const override;
  void initialize_shape(bool has_weights) override;
  void check_shape(bool has_weights) const override;
  /// From another one of the same resolution, or from a geometry that is a function of points: an
  /// implicit-sdf's distances, or a density's threshold less its values, clamped to [-1,1].
  void start_as(const Geometry& previous, bool with_features) override;
  void collect(const std::string& prefix, NamedTensors& parameters, NamedTensors& buffers) const override;
  void update_step(int64_t step) override;

 private:
  ShapeFunction first_shape(bool has_weights) const;
  at::Tensor state(at::IntArrayRef shape) const;
  /// Of everything that the mesh depends on: changes whenever one of them is written.
  uint32_t version() const;
  void start_as_grid(const TetrahedraSdfGrid& previous);
  void start_as_field(const Geometry& previous);
  mesh::SurfaceMesh cut() const;

  Config config_;
  mesh::TetLattice lattice_;
  at::Tensor sdf_;              // [N,1], negative inside
  at::Tensor deformation_;      // [N,3], raw; undefined where the lattice stands still
  at::Tensor box_, whole_box_;  // [2,3] where the lattice is, and the geometry
  std::unique_ptr<SurfaceFeatures> features_;
  mutable bool has_warned_ = false;
  mutable std::mutex fixed_access_;
  mutable std::optional<std::pair<uint32_t, mesh::SurfaceMesh>> fixed_;
};

}  // namespace t3d::field
