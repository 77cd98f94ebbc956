#include "t3d/raster/interpolate_cpu.h"

#include <algorithm>

#include "t3d/raster/vertex_sums.h"

namespace t3d::raster::cpu {
namespace {

/// Calls body(first column, end, id) for each run of pixels of one triangle in a row, id 0 included.
template <class T, class Body>
void for_runs(const T* rast_row, int64_t width, const Body& body) {
  for (int64_t i = 0; i < width;) {
    const int64_t first = i;
    const T id = rast_row[4 * i + 3];
    while (i < width && rast_row[4 * i + 3] == id) ++i;
    // An id that is not a number is a run of its own pixel.
    i = std::max(i, first + 1);
    body(first, i, static_cast<int64_t>(id));
  }
}

/// The gradients of one row; its runs' sums go to `runs`, unless it is null.
template <class T>
void row_backward(const PixelGrid& grid, const MeshView& mesh, const InterpolationInput<T>& in,
                  const T* d_out, const T* d_out_da, const InterpolationGradients<T>& to, int64_t row,
                  RowRuns<T>* runs) {
  const int64_t start = row * grid.width;
  for_runs(in.rast + 4 * start, grid.width, [&](int64_t first, int64_t end, int64_t id) {
    if (id == 0) return;
    check_seen("interpolate", mesh, id);
    int64_t place[3];
    mesh.corners(row / grid.height, id - 1, place);
    const CornerValues<T> c = corner_values(in.attr, in.n_attr, place);
    T* const sum = runs != nullptr ? runs->begin(place, in.n_attr) : nullptr;
    const auto add = [&](int corner, int64_t n, T value) {
      if (sum != nullptr) sum[corner * in.n_attr + n] += value;
    };
    for (int64_t p = start + first; p < start + end; ++p) {
      T unused[4] = {};
      T* const d_rast = to.rast != nullptr ? to.rast + 4 * p : unused;
      if (d_out != nullptr)
        interpolate_pixel_adjoint(c, in.n_attr, in.rast + 4 * p, d_out + p * in.n_attr, d_rast, add);
      if (d_out_da != nullptr)
        interpolate_derivatives_adjoint(c, in, in.rast_db + 4 * p, d_out_da + p * 2 * in.n_diff,
                                        to.db + 4 * p, add);
    }
  });
}

}  // namespace

template <class T>
void interpolate_forward(const PixelGrid& grid, int64_t n_images, const MeshView& mesh,
                         const InterpolationInput<T>& in, T* out, T* out_da) {
  at::parallel_for(0, n_images * grid.height, 4, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t start = row * grid.width;
      for_runs(in.rast + 4 * start, grid.width, [&](int64_t first, int64_t last, int64_t id) {
        const int64_t p0 = start + first, p1 = start + last;
        if (id == 0) {
          std::fill(out + p0 * in.n_attr, out + p1 * in.n_attr, T(0));
          if (out_da != nullptr) std::fill(out_da + p0 * 2 * in.n_diff, out_da + p1 * 2 * in.n_diff, T(0));
          return;
        }
        check_seen("interpolate", mesh, id);
        int64_t place[3];
        mesh.corners(row / grid.height, id - 1, place);
        const CornerValues<T> c = corner_values(in.attr, in.n_attr, place);
        for (int64_t p = p0; p < p1; ++p) {
          interpolate_pixel(c, in.n_attr, in.rast + 4 * p, out + p * in.n_attr);
          if (out_da != nullptr)
            interpolate_pixel_derivatives(c, in, in.rast_db + 4 * p, out_da + p * 2 * in.n_diff);
        }
      });
    }
  });
}

template <class T>
void interpolate_backward(const PixelGrid& grid, int64_t n_images, const MeshView& mesh,
                          const InterpolationInput<T>& in, const T* d_out, const T* d_out_da,
                          const InterpolationGradients<T>& to) {
  const int64_t n_rows = n_images * grid.height;
  if (to.attr != nullptr)
    return add_rows_to_vertices(n_rows, grid.width, in.n_attr, mesh.n_places(n_images), to.attr,
                                [&](int64_t row, RowRuns<T>& runs) {
                                  row_backward(grid, mesh, in, d_out, d_out_da, to, row, &runs);
                                });
  at::parallel_for(0, n_rows, 4, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      row_backward<T>(grid, mesh, in, d_out, d_out_da, to, row, nullptr);
  });
}

#define T3D_INTERPOLATE(T)                                                                \
  template void interpolate_forward<T>(const PixelGrid&, int64_t, const MeshView&,        \
                                       const InterpolationInput<T>&, T*, T*);             \
  template void interpolate_backward<T>(const PixelGrid&, int64_t, const MeshView&,       \
                                        const InterpolationInput<T>&, const T*, const T*, \
                                        const InterpolationGradients<T>&);
T3D_INTERPOLATE(float)
T3D_INTERPOLATE(double)
#undef T3D_INTERPOLATE

}  // namespace t3d::raster::cpu
