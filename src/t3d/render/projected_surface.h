#pragma once

#include "t3d/mesh/surface_mesh.h"
#include "t3d/raster/antialias.h"
#include "t3d/render/render_request.h"

namespace t3d::render {

/// A surface in the pixels of B whole images: which triangle each pixel shows, and what is blended between
/// its corners. Carries the graph to the surface's vertices.
class ProjectedSurface {
 public:
  /// By the request's cameras.
  ProjectedSurface(const mesh::SurfaceMesh& mesh, const RenderRequest& request);
  /// By what a rasterizer said, `rast` [B,H,W,4] of raster::rasterize for vertices at `clip` [B,V,4].
  ProjectedSurface(const mesh::SurfaceMesh& mesh, const at::Tensor& clip, const at::Tensor& rast);

  const mesh::SurfaceMesh& mesh() const { return mesh_; }
  /// [B,H,W,1]: 1 where a pixel shows the surface, else 0.
  const at::Tensor& covered() const { return covered_; }
  /// Values [V,A] of the vertices -> [B,H,W,A], 0 where nothing is.
  at::Tensor interpolated(const at::Tensor& values) const;
  /// Unit vectors [B,H,W,3] between the vertices' normals, 0 where nothing is.
  at::Tensor normals() const;
  /// An image [B,H,W,C] with its outlines blended.
  at::Tensor antialiased(const at::Tensor& image) const;

 private:
  ProjectedSurface(const mesh::SurfaceMesh& mesh, const at::Tensor& clip, const ImageSize& size);

  mesh::SurfaceMesh mesh_;
  at::Tensor faces_;  // [F,3] int32
  at::Tensor clip_, rast_, covered_;
  raster::EdgeTopology edges_;
};

/// Vertices [V,3] in the clip space of cameras `mvp` [B,4,4]: [B,V,4].
at::Tensor to_clip_space(const at::Tensor& vertices, const at::Tensor& mvp);

}  // namespace t3d::render
