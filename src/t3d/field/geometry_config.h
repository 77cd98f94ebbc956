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

/// Keys that all implicit geometries share, threestudio section 3.4.
struct ImplicitConfig {
  int n_input_dims = 3;
  int n_feature_dims = 3;
  float radius = 1;
  bool isosurface = true, isosurface_coarse_to_fine = true, isosurface_deformable_grid = false;
  bool isosurface_remove_outliers = true;
  std::string isosurface_method = "mt";
  int isosurface_resolution = 128, isosurface_chunk = 0;
  std::variant<float, std::string> isosurface_threshold = 0.f;
  float isosurface_outlier_n_faces_threshold = 0.01f;
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
      "mt where the grid deforms; meshes are cut by marching cubes with either");
    v("isosurface_resolution", isosurface_resolution, in_range(16, 1024),
      "samples along the longest side of an exported mesh, where the exporter names none");
    v("isosurface_threshold", isosurface_threshold, any(),
      "of a density: the surface's, auto: found by the exporter; of a signed distance: its level");
    v("isosurface_chunk", isosurface_chunk, harmless("130,000 points are evaluated at once"),
      "points evaluated at once");
    v("isosurface_coarse_to_fine", isosurface_coarse_to_fine,
      ignored("a mesh is always cut again in the tight box"), "cut again in the tight box");
    v("isosurface_deformable_grid", isosurface_deformable_grid, any(), "the grid's vertices may move");
    v("isosurface_remove_outliers", isosurface_remove_outliers, any(),
      "leave small parts out of an exported mesh");
    v("isosurface_outlier_n_faces_threshold", isosurface_outlier_n_faces_threshold, non_negative(),
      "which are small: faces, or below 1 a fraction of the largest part's");
    v("normal_type", normal_type, any(), "how normals are found");
    v("weights", weights, any(), "start from path/to/last.ckpt:geometry");
  }
};

}  // namespace t3d::field
