#pragma once

#include <cstdint>

#include "t3d/core/error.h"
#include "t3d/core/text.h"
#include "t3d/raster/pixel_grid.h"

/// Rows of pixels with the triangles that they see, for kernels on the CPU and CUDA.
namespace t3d::raster {

/// A mesh under `n_images` images: image b's vertices are those from b * vertex_step on, where vertex_step is
/// 0 if all images share them.
struct MeshView {
  const int32_t* tri;  ///< [F,3]
  int64_t n_triangles, n_vertices, vertex_step;

  /// Places of triangle f's vertices in image b: rows of [B,V,...], or of [V,...].
  T3D_HOST_DEVICE void corners(int64_t b, int64_t f, int64_t place[3]) const {
    for (int k = 0; k < 3; ++k) place[k] = b * vertex_step + tri[3 * f + k];
  }
  /// Rows of all images' values.
  T3D_HOST_DEVICE int64_t n_places(int64_t n_images) const {
    return vertex_step != 0 ? n_images * vertex_step : n_vertices;
  }
};

/// Throws UserError for an id (index + 1) that the mesh doesn't have.
inline void check_seen(const char* where, const MeshView& mesh, int64_t id) {
  if (id < 0 || id > mesh.n_triangles)
    throw UserError(cat(where, ": a pixel shows triangle ", id - 1, ", and the mesh has ", mesh.n_triangles,
                        ". Pass the tri that the image was rasterized with."));
}

}  // namespace t3d::raster
