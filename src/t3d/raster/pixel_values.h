#pragma once

#include "t3d/raster/image_rows.h"
#include "t3d/raster/triangle_planes.h"

/// What one pixel of rast and rast_db holds, for the CPU and CUDA.
namespace t3d::raster {

struct SeenTriangle {
  AreaPlanes areas;
  DepthPlane depth;
  float id;
};

/// The triangle of index id - 1 in image b.
template <class T>
T3D_HOST_DEVICE SeenTriangle see_triangle(const PixelGrid& grid, const MeshView& mesh, const T* pos,
                                          int64_t b, int32_t id) {
  int64_t place[3];
  mesh.corners(b, id - 1, place);
  const ClipVertex vertex[3] = {clip_vertex(pos, place[0]), clip_vertex(pos, place[1]),
                                clip_vertex(pos, place[2])};
  const EdgeLines lines = edge_lines(vertex);
  return {area_planes(grid, lines), depth_plane(grid, vertex, lines), static_cast<float>(id)};
}

/// rast and rast_db: 4 numbers each; rast_db may be null.
template <class T>
T3D_HOST_DEVICE void write_barycentrics(const SeenTriangle& seen, int32_t i, int32_t j, T* rast, T* rast_db) {
  const Barycentrics b = barycentrics_at(seen.areas, i, j);
  rast[0] = static_cast<T>(b.u);
  rast[1] = static_cast<T>(b.v);
  rast[2] = static_cast<T>(seen.depth.at(i, j));
  rast[3] = static_cast<T>(seen.id);
  if (rast_db == nullptr) return;
  rast_db[0] = static_cast<T>(b.u_x);
  rast_db[1] = static_cast<T>(b.u_y);
  rast_db[2] = static_cast<T>(b.v_x);
  rast_db[3] = static_cast<T>(b.v_y);
}

/// Gradients of a pixel's u, v and their derivatives; either pointer may be null.
template <class T>
T3D_HOST_DEVICE Barycentrics read_gradients(const T* d_rast, const T* d_rast_db) {
  Barycentrics d{};
  if (d_rast != nullptr) d.u = d_rast[0], d.v = d_rast[1];
  if (d_rast_db != nullptr)
    d.u_x = d_rast_db[0], d.u_y = d_rast_db[1], d.v_x = d_rast_db[2], d.v_y = d_rast_db[3];
  return d;
}

}  // namespace t3d::raster
