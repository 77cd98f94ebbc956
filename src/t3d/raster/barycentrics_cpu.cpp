#include "t3d/raster/barycentrics_cpu.h"

#include <algorithm>

#include "t3d/raster/pixel_values.h"
#include "t3d/raster/vertex_sums.h"

namespace t3d::raster::cpu {

template <class T>
void barycentrics_forward(const PixelGrid& grid, int64_t n_images, const MeshView& mesh, const T* pos,
                          const int32_t* triangle, int64_t row_stride, T* rast, T* rast_db) {
  at::parallel_for(0, n_images * grid.height, 4, [&](int64_t begin, int64_t end) {
    SeenTriangle seen;
    for (int64_t row = begin; row < end; ++row) {
      const int64_t b = row / grid.height;
      const int32_t j = static_cast<int32_t>(row % grid.height);
      int32_t last = 0;
      for (int32_t i = 0; i < grid.width; ++i) {
        const int32_t id = triangle[row * row_stride + i];
        const int64_t at = 4 * (row * grid.width + i);
        if (id == 0) {
          std::fill_n(rast + at, 4, T(0));
          if (rast_db != nullptr) std::fill_n(rast_db + at, 4, T(0));
          continue;
        }
        if (id != last) {
          check_seen("rasterize", mesh, id);
          seen = see_triangle(grid, mesh, pos, b, id);
          last = id;
        }
        write_barycentrics(seen, i, j, rast + at, rast_db != nullptr ? rast_db + at : nullptr);
      }
    }
  });
}

template <class T>
void barycentrics_backward(const PixelGrid& grid, int64_t n_images, const MeshView& mesh, const T* pos,
                           const int32_t* triangle, int64_t row_stride, const T* d_rast, const T* d_rast_db,
                           T* d_pos) {
  constexpr int64_t kValues = 3;  // x, y and w of a vertex
  std::vector<T> sums(static_cast<size_t>(mesh.n_places(n_images) * kValues), T(0));
  const auto fill = [&](int64_t row, RowRuns<T>& runs) {
    const int64_t b = row / grid.height;
    const int32_t j = static_cast<int32_t>(row % grid.height);
    const int32_t* ids = triangle + row * row_stride;
    for (int32_t i = 0; i < grid.width;) {
      const int32_t id = ids[i];
      if (id == 0) {
        ++i;
        continue;
      }
      int64_t place[3];
      mesh.corners(b, id - 1, place);
      const ClipVertex vertex[3] = {clip_vertex(pos, place[0]), clip_vertex(pos, place[1]),
                                    clip_vertex(pos, place[2])};
      const EdgeLines lines = edge_lines(vertex);
      double sum[3 * kValues] = {};
      for (; i < grid.width && ids[i] == id; ++i) {
        const int64_t at = 4 * (row * grid.width + i);
        add_barycentrics_adjoint(grid, vertex, lines, i, j,
                                 read_gradients(d_rast != nullptr ? d_rast + at : nullptr,
                                                d_rast_db != nullptr ? d_rast_db + at : nullptr),
                                 sum);
      }
      T* const to = runs.begin(place, kValues);
      for (int n = 0; n < 3 * kValues; ++n) to[n] = static_cast<T>(sum[n]);
    }
  };
  add_rows_to_vertices(n_images * grid.height, grid.width, kValues, mesh.n_places(n_images), sums.data(),
                       fill);
  at::parallel_for(0, mesh.n_places(n_images), 4096, [&](int64_t begin, int64_t end) {
    for (int64_t v = begin; v < end; ++v) {
      d_pos[4 * v] = sums[3 * v];
      d_pos[4 * v + 1] = sums[3 * v + 1];
      d_pos[4 * v + 3] = sums[3 * v + 2];
    }
  });
}

#define T3D_BARYCENTRICS(T)                                                                    \
  template void barycentrics_forward<T>(const PixelGrid&, int64_t, const MeshView&, const T*,  \
                                        const int32_t*, int64_t, T*, T*);                      \
  template void barycentrics_backward<T>(const PixelGrid&, int64_t, const MeshView&, const T*, \
                                         const int32_t*, int64_t, const T*, const T*, T*);
T3D_BARYCENTRICS(float)
T3D_BARYCENTRICS(double)
#undef T3D_BARYCENTRICS

}  // namespace t3d::raster::cpu
