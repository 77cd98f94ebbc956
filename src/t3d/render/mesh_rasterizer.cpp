#include "t3d/render/mesh_rasterizer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "t3d/core/error.h"
#include "t3d/render/scene_background.h"

namespace t3d::render {

MeshRasterizer::MeshRasterizer(const Config&, const Scene& scene, const field::BuildContext&)
    : scene_(scene),
      surface_(field::need_surface(*scene.geometry, "nvdiff-rasterizer", "another renderer_type")) {}

bool MeshRasterizer::makes(const std::string& field) const {
  if (field == "comp_rgb" || field == "comp_rgb_bg" || field == "depth")
    return scene_.geometry->appearance() != nullptr;
  return field == "opacity" || field == "comp_normal" || field == "mesh_vertices" || field == "mesh_faces";
}

RenderOutput MeshRasterizer::operator()(const RenderRequest& request, bool is_training, Rng& rng) {
  T3D_CHECK(request.height() == request.whole().height && request.width() == request.whole().width,
            "a rasterizer was asked for a part of an image");
  const c10::AutoGradMode gradients(is_training && c10::GradMode::is_enabled());
  const mesh::SurfaceMesh mesh = surface_.surface_mesh();
  const bool is_bumpy = request.wants_colour && scene_.material->requires_tangent();
  return draw(ProjectedSurface(is_bumpy ? unwrapped_(mesh) : mesh, request), request, is_training, rng);
}

RenderOutput MeshRasterizer::draw(const ProjectedSurface& surface, const RenderRequest& request,
                                  bool is_training, Rng& rng) const {
  const at::Tensor normals = surface.normals();
  RenderOutput out;
  out.opacity = surface.antialiased(surface.covered());
  out.comp_normal = surface.antialiased((normals + 1) / 2 * surface.covered());
  if (request.wants_colour) shade(surface, normals, request, is_training, rng, out);
  out.mesh_vertices = surface.mesh().vertices, out.mesh_faces = surface.mesh().faces;
  return out;
}

void MeshRasterizer::shade(const ProjectedSurface& surface, const at::Tensor& normals,
                           const RenderRequest& request, bool is_training, Rng& rng,
                           RenderOutput& out) const {
  const field::AppearanceField* appearance = scene_.geometry->appearance();
  if (appearance == nullptr)
    throw UserError(
        "nvdiff-rasterizer: the geometry has no features, so that there is no colour to render. Set "
        "geometry.geometry_only=false, or use a system that looks at normals alone.");
  const at::Tensor& covered = surface.covered();                     // [B,H,W,1]
  const auto where = covered.reshape({-1}).nonzero().reshape({-1});  // [N]
  const auto view = where.div(covered.numel() / covered.size(0), "floor");
  const auto of_covered = [&](const at::Tensor& image) {
    return image.reshape({-1, image.size(-1)}).index_select(0, where);
  };
  const auto positions = surface.interpolated(surface.mesh().vertices);  // [B,H,W,3]
  const auto cameras = request.c2w.narrow(1, 0, 3).select(2, 3);         // [B,3]
  shading::ShadingInput in;
  in.positions = of_covered(positions);
  in.features = appearance->features_at(in.positions);
  in.view_directions = field::unit_rows(in.positions - cameras.index_select(0, view));
  in.shading_normal = of_covered(normals);
  if (scene_.material->requires_tangent())
    in.tangent = field::unit_rows(of_covered(surface.interpolated(mesh::vertex_tangents(surface.mesh()))));
  if (request.light_positions.defined()) in.light_positions = request.light_positions.index_select(0, view);
  in.is_training = is_training;
  const auto colour = (*scene_.material)(in, rng);  // [N,C]

  const auto image = at::zeros({covered.numel(), colour.size(1)}, colour.options())
                         .index_copy(0, where, colour)
                         .reshape({covered.size(0), covered.size(1), covered.size(2), colour.size(1)});
  out.comp_rgb_bg = background_of(scene_, request, colour.size(1), is_training, rng);
  out.comp_rgb = surface.antialiased(image + out.comp_rgb_bg * (1 - covered));
  out.depth = (positions - cameras.reshape({-1, 1, 1, 3})).norm(2, at::IntArrayRef{-1}, true) * covered;
}

}  // namespace t3d::render
