#include "t3d/render/projected_surface.h"

#include <ATen/ATen.h>

#include "t3d/field/geometry.h"
#include "t3d/raster/interpolate.h"
#include "t3d/raster/rasterize.h"

namespace t3d::render {
namespace {

at::Tensor rasterized(const mesh::SurfaceMesh& mesh, const at::Tensor& clip, const ImageSize& size) {
  return raster::rasterize(clip, mesh.faces.to(at::kInt), size.height, size.width,
                           {{}, /*derivatives=*/false})
      .rast;
}

}  // namespace

at::Tensor to_clip_space(const at::Tensor& vertices, const at::Tensor& mvp) {
  return at::matmul(at::cat({vertices, at::ones_like(vertices.narrow(1, 0, 1))}, 1), mvp.transpose(1, 2));
}

ProjectedSurface::ProjectedSurface(const mesh::SurfaceMesh& mesh, const at::Tensor& clip,
                                   const at::Tensor& rast)
    : mesh_(mesh),
      faces_(mesh.faces.to(at::kInt)),
      clip_(clip),
      rast_(rast),
      covered_((rast.narrow(3, 3, 1) > 0).to(clip.scalar_type())),
      edges_(raster::EdgeTopology::of(faces_)) {}

ProjectedSurface::ProjectedSurface(const mesh::SurfaceMesh& mesh, const RenderRequest& request)
    : ProjectedSurface(mesh, to_clip_space(mesh.vertices, request.mvp), request.whole()) {}

ProjectedSurface::ProjectedSurface(const mesh::SurfaceMesh& mesh, const at::Tensor& clip,
                                   const ImageSize& size)
    : ProjectedSurface(mesh, clip, rasterized(mesh, clip, size)) {}

at::Tensor ProjectedSurface::interpolated(const at::Tensor& values) const {
  return raster::interpolate(values.unsqueeze(0), rast_, faces_);
}

at::Tensor ProjectedSurface::normals() const {
  return field::unit_rows(interpolated(mesh::vertex_normals(mesh_)));
}

at::Tensor ProjectedSurface::antialiased(const at::Tensor& image) const {
  return raster::antialias(image, rast_, clip_, faces_, &edges_);
}

}  // namespace t3d::render
