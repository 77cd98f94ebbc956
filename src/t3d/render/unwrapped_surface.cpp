#include "t3d/render/unwrapped_surface.h"

#include <ATen/ATen.h>

#include "t3d/export/uv_atlas.h"
#include "t3d/render/io_mesh.h"

namespace t3d::render {
mesh::SurfaceMesh UnwrappedSurface::operator()(const mesh::SurfaceMesh& surface) {
  if (surface.uv.defined()) return surface;
  if (!last_.vertices.defined() || !last_.vertices.is_same(surface.vertices)) {
    io::Mesh mesh = io_mesh(surface);
    export_::make_atlas(mesh);
    const auto n = static_cast<int64_t>(mesh.uvs.size()), n_faces = static_cast<int64_t>(mesh.faces.size());
    const auto uv = at::empty({n, 2}, at::kFloat);
    for (int64_t i = 0; i < n; ++i)
      for (int k = 0; k < 2; ++k) uv.data_ptr<float>()[2 * i + k] = mesh.uvs[static_cast<size_t>(i)][k];
    const auto uv_faces = at::empty({n_faces, 3}, at::kLong);
    for (int64_t i = 0; i < n_faces; ++i)
      for (size_t k = 0; k < 3; ++k)
        uv_faces.data_ptr<int64_t>()[3 * i + static_cast<int64_t>(k)] = mesh.faces[static_cast<size_t>(i)][k];
    last_ = surface;
    last_.uv = uv.to(surface.vertices.device()), last_.uv_faces = uv_faces.to(surface.vertices.device());
  }
  return last_;
}

}  // namespace t3d::render
