#pragma once

#include <string>
#include <variant>
#include <vector>

#include "t3d/core/config/struct_io.h"
#include "t3d/field/geometry.h"

namespace t3d::field {

inline std::vector<std::pair<NormalType, const char*>> enum_names(const NormalType*) {
  return {{NormalType::FiniteDifference, "finite_difference"},
          {NormalType::FiniteDifferenceLaplacian, "finite_difference_laplacian"},
          {NormalType::Analytic, "analytic"},
          {NormalType::Pred, "pred"}};
}

/// threestudio's: 16 levels of 2 features up to a resolution of 4096, and one hidden layer of 64.
config::Node default_position_encoding();
config::Node default_network();

/// Which parts of a surface are left out.
struct OutlierConfig {
  bool isosurface_remove_outliers = true;
  float isosurface_outlier_n_faces_threshold = 0.01f;

  template <class V>
  void visit_outliers(V& v) {
    using namespace config;
    v("isosurface_remove_outliers", isosurface_remove_outliers, any(),
      "leave small parts out of an exported mesh, and of a surface that is shown while it does not learn");
    v("isosurface_outlier_n_faces_threshold", isosurface_outlier_n_faces_threshold, non_negative(),
      "which are small: faces, or below 1 a fraction of the largest part's");
  }
};

/// A shape to begin with.
struct ShapeInitConfig {
  std::optional<std::string> shape_init;
  config::Node shape_init_params;
  std::string shape_init_mesh_up = "+z", shape_init_mesh_front = "+x";

  template <class V>
  void visit_shape_init(V& v) {
    using namespace config;
    v("shape_init", shape_init, any(), "sphere, ellipsoid or mesh:PATH, taken on before the first step");
    v("shape_init_params", shape_init_params, any(), "radius, three half axes, or the mesh's size");
    v("shape_init_mesh_up", shape_init_mesh_up, any(), "the file's axis that becomes +z");
    v("shape_init_mesh_front", shape_init_mesh_front, any(), "the file's axis that becomes +x");
  }
};

/// Features of points of a surface.
struct FeatureConfig {
  int n_input_dims = 3;
  int n_feature_dims = 3;
  config::Node pos_encoding_config = default_position_encoding();
  config::Node mlp_network_config = default_network();

  template <class V>
  void visit_features(V& v) {
    using namespace config;
    v("n_input_dims", n_input_dims, one_of({3}), "numbers of a point");
    v("n_feature_dims", n_feature_dims, in_range(0, 128), "channels handed to the material");
    v("pos_encoding_config", pos_encoding_config, any(), "encoding of positions");
    v("mlp_network_config", mlp_network_config, any(), "network of the features");
  }
};

/// Keys that all implicit geometries share, threestudio section 3.4.
struct ImplicitConfig : OutlierConfig {
  int n_input_dims = 3;
  int n_feature_dims = 3;
  float radius = 1;
  bool isosurface = true, isosurface_coarse_to_fine = true, isosurface_deformable_grid = false;
  std::string isosurface_method = "mt";
  int isosurface_resolution = 128, isosurface_chunk = 0;
  std::variant<float, std::string> isosurface_threshold = 0.f;
  std::optional<NormalType> normal_type = NormalType::FiniteDifference;
  std::optional<std::string> weights;

  template <class V>
  void visit_common(V& v) {
    using namespace config;
    v("n_input_dims", n_input_dims, one_of({3}), "numbers of a point");
    v("n_feature_dims", n_feature_dims, in_range(0, 128), "channels handed to the material");
    v("radius", radius, positive(), "the box is [-radius, radius]^3");
    v("isosurface", isosurface, any(), "false: export refuses to make a mesh");
    v("isosurface_method", isosurface_method, one_of({"mt", "mc-cpu"}),
      "mt where the grid deforms; meshes are exported by marching cubes and shown by marching tetrahedra "
      "with either");
    v("isosurface_resolution", isosurface_resolution, in_range(4, 1024),
      "of the tetrahedra whose surface is shown; and samples along the longest side of an exported mesh, "
      "where the exporter names none");
    v("isosurface_threshold", isosurface_threshold, any(),
      "of a density: the surface's; auto: found by the exporter, and the mean of the values above 1e-5 where "
      "the surface is shown; of a signed distance: its level");
    v("isosurface_chunk", isosurface_chunk, non_negative(),
      "points of the tetrahedra evaluated at once; 0: 131,072");
    v("isosurface_coarse_to_fine", isosurface_coarse_to_fine, any(),
      "the surface that is shown is cut again in the tight box, as exported meshes always are");
    v("isosurface_deformable_grid", isosurface_deformable_grid, any(), "the grid's vertices may move");
    visit_outliers(v);
    v("normal_type", normal_type, any(), "how normals are found");
    v("weights", weights, any(), "start from path/to/last.ckpt:geometry");
  }
};

}  // namespace t3d::field
