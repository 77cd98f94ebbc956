#include "t3d/system/term.h"

#include <ATen/ATen.h>

#include "t3d/core/error.h"
#include "t3d/mesh/surface_mesh.h"
#include "t3d/system/regularisers.h"
#include "t3d/system/shape_guide.h"

namespace t3d::system {
namespace {

mesh::SurfaceMesh mesh_of(const TermInput& in) {
  mesh::SurfaceMesh mesh;
  mesh.vertices = in.out.mesh_vertices, mesh.faces = in.out.mesh_faces;
  return mesh;
}

}  // namespace

const std::vector<Term>& terms() {
  static const std::vector<Term> table = {
      {"orient",
       {"geometry.normal", "t_dirs", "weights", "opacity"},
       0.0,
       /*is_always_logged=*/false,
       [](const TermInput& in) { return orientation_loss(in.out); },
       "sum stopgrad(w) max(0, n . d)^2 / pixels that are not empty; Ref-NeRF, eq. 11"},
      {"sparsity",
       {"opacity"},
       0.0,
       /*is_always_logged=*/true,
       [](const TermInput& in) { return sparsity_loss(in.out.opacity); },
       "mean sqrt(o^2 + 0.01); DreamFusion, appendix"},
      {"opaque",
       {"opacity"},
       0.0,
       /*is_always_logged=*/true,
       [](const TermInput& in) { return opaque_loss(in.out.opacity); },
       "mean of -o ln o - (1 - o) ln(1 - o), o in [0.001, 0.999]; threestudio"},
      {"z_variance",
       {"z_variance", "opacity"},
       0.0,
       /*is_always_logged=*/true,
       [](const TermInput& in) { return z_variance_loss(in.out.z_variance, in.out.opacity); },
       "mean variance of depth where o > 0.5; HiFA, section 3.2"},
      {"eikonal",
       {"geometry.sdf_grad", "t_intervals"},
       0.0,
       /*is_always_logged=*/true,
       [](const TermInput& in) { return eikonal_loss(in.out); },
       "mean (|slope| - 1)^2; Implicit Geometric Regularization, eq. 2"},
      {"normal_consistency",
       {"mesh_vertices", "mesh_faces"},
       std::nullopt,
       /*is_always_logged=*/true,
       [](const TermInput& in) { return mesh::normal_consistency(mesh_of(in)); },
       "mean of 1 - cosine of the normals at an edge's ends; threestudio"},
      {"laplacian_smoothness",
       {"mesh_vertices", "mesh_faces"},
       0.0,
       /*is_always_logged=*/false,
       [](const TermInput& in) { return mesh::laplacian_smoothness(mesh_of(in)); },
       "mean |sum over neighbours of v - v_neighbour|; threestudio"},
      {"emptiness",
       {"weights"},
       0.0,
       /*is_always_logged=*/true,
       [](const TermInput& in) { return emptiness_loss(in.out.weights, in.number("emptiness_scale", 10)); },
       "mean ln(1 + scale w); Score Jacobian Chaining, section 4.3"},
      {"depth",
       {"depth", "opacity"},
       0.0,
       /*is_always_logged=*/false,
       [](const TermInput& in) {
         return centre_depth_loss(in.out.depth, in.out.opacity, in.number("center_ratio", 1.0 / 6));
       },
       "sign(x) ln|x|, x = depth of the middle - depth of the border; Score Jacobian Chaining, section 4.3"},
      {"shape",
       {"geometry.density", "points", "t_intervals"},
       std::nullopt,
       /*is_always_logged=*/false,
       [](const TermInput& in) {
         T3D_CHECK(in.guide != nullptr, "the term shape without a mesh");
         return in.guide->loss(in.out.geometry.density, in.out.points, in.out.t_intervals);
       },
       "sum (1 - exp(-d^2 / 0.18)) cross entropy of opacity and inside; Latent-NeRF, section 3.3"},
  };
  return table;
}

const Term& term(const std::string& name) {
  for (const Term& each : terms())
    if (each.name == name) return each;
  T3D_CHECK(false, "there is no term ", name);
}

}  // namespace t3d::system
