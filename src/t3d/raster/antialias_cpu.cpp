#include "t3d/raster/antialias_cpu.h"

#include "t3d/raster/vertex_sums.h"

namespace t3d::raster::cpu {
namespace {

/// First pixels of a row's pairs: columns up to the last, rows of one image up to the last.
template <class T>
void find_blends_of_row(const PixelGrid& grid, const MeshView& mesh, const int32_t* opposite, const T* pos,
                        const T* rast, int64_t row, std::vector<Blend>& found) {
  const int32_t j = static_cast<int32_t>(row % grid.height);
  const T* here = rast + 4 * row * grid.width;
  const auto look = [&](int32_t i, bool is_vertical, const T* first, const T* second) {
    check_seen("antialias", mesh, static_cast<int64_t>(first[3]));
    check_seen("antialias", mesh, static_cast<int64_t>(second[3]));
    Crossing c;
    if (!find_crossing(grid, mesh, opposite, pos, row / grid.height, {i, j, is_vertical}, first, second, c))
      return;
    found.push_back({i, is_vertical, c.is_second, static_cast<uint8_t>(c.edge), c.blends_second(),
                     c.is_clamped, c.alpha()});
  };
  for (int32_t i = 0; i < grid.width; ++i) {
    const T* const first = here + 4 * i;
    if (i + 1 < grid.width && first[3] != first[7]) look(i, false, first, first + 4);
    const T* const above = first + 4 * grid.width;
    if (j + 1 < grid.height && first[3] != above[3]) look(i, true, first, above);
  }
}

/// Calls body(blend, the blended pixel, the pixel blended into it) for the blends of a row's pixels: those
/// with the row below first, from left to right.
template <class Body>
void for_blends_into(const PixelGrid& grid, const Blends& blends, int64_t row, const Body& body) {
  for (int64_t of = row % grid.height != 0 ? row - 1 : row; of <= row; ++of)
    for (int64_t n = blends.row_start[of]; n < blends.row_start[of + 1]; ++n) {
      const Blend& b = blends.blends[n];
      const int64_t first = of * grid.width + b.i, second = first + (b.is_vertical ? grid.width : 1);
      const int64_t into = b.blends_second ? second : first;
      if (into / grid.width == row) body(b, into, b.blends_second ? first : second);
    }
}

}  // namespace

template <class T>
Blends find_blends(const PixelGrid& grid, int64_t n_images, const MeshView& mesh, const int32_t* opposite,
                   const T* pos, const T* rast) {
  const int64_t n_rows = n_images * grid.height;
  std::vector<std::vector<Blend>> of_row(static_cast<size_t>(n_rows));
  at::parallel_for(0, n_rows, 4, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      find_blends_of_row(grid, mesh, opposite, pos, rast, row, of_row[row]);
  });
  Blends out;
  out.row_start.assign(static_cast<size_t>(n_rows) + 1, 0);
  for (int64_t row = 0; row < n_rows; ++row)
    out.row_start[row + 1] = out.row_start[row] + static_cast<int64_t>(of_row[row].size());
  out.blends.reserve(static_cast<size_t>(out.row_start[n_rows]));
  for (const auto& row : of_row) out.blends.insert(out.blends.end(), row.begin(), row.end());
  return out;
}

template <class T>
void blend(const PixelGrid& grid, int64_t n_images, const Blends& blends, int64_t n_channels, const T* color,
           T* out) {
  at::parallel_for(0, n_images * grid.height, 16, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      for_blends_into(grid, blends, row, [&](const Blend& b, int64_t into, int64_t from) {
        for (int64_t c = 0; c < n_channels; ++c)
          out[into * n_channels + c] +=
              static_cast<T>(b.alpha) * (color[from * n_channels + c] - color[into * n_channels + c]);
      });
  });
}

template <class T>
void blend_backward(const PixelGrid& grid, int64_t n_images, const Blends& blends, int64_t n_channels,
                    const T* d_out, T* d_color) {
  at::parallel_for(0, n_images * grid.height, 16, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const auto add = [&](int64_t pixel, const Blend& b, double factor, int64_t from) {
        for (int64_t c = 0; c < n_channels; ++c)
          d_color[pixel * n_channels + c] += static_cast<T>(factor * b.alpha) * d_out[from * n_channels + c];
      };
      // A row's colours go into its own pixels and those of the rows above and below.
      for (int64_t of = row % grid.height != 0 ? row - 1 : row; of <= row; ++of)
        for (int64_t n = blends.row_start[of]; n < blends.row_start[of + 1]; ++n) {
          const Blend& b = blends.blends[n];
          const int64_t first = of * grid.width + b.i, second = first + (b.is_vertical ? grid.width : 1);
          const int64_t into = b.blends_second ? second : first, from = b.blends_second ? first : second;
          if (into / grid.width == row) add(into, b, -1, into);
          if (from / grid.width == row) add(from, b, 1, into);
        }
    }
  });
}

template <class T>
void blend_backward_pos(const PixelGrid& grid, int64_t n_images, const MeshView& mesh, const Blends& blends,
                        int64_t n_channels, const T* pos, const T* rast, const T* color, const T* d_out,
                        double boost, T* d_pos) {
  constexpr int64_t kOfVertex = 4;
  const auto fill = [&](int64_t row, RowRuns<T>& runs) {
    for (int64_t n = blends.row_start[row]; n < blends.row_start[row + 1]; ++n) {
      const Blend& b = blends.blends[n];
      if (b.is_clamped != 0) continue;
      const int64_t first = row * grid.width + b.i, second = first + (b.is_vertical ? grid.width : 1);
      const int64_t into = b.blends_second ? second : first, from = b.blends_second ? first : second;
      double d_alpha = 0;
      for (int64_t c = 0; c < n_channels; ++c)
        d_alpha += static_cast<double>(d_out[into * n_channels + c]) *
                   (color[from * n_channels + c] - color[into * n_channels + c]);
      if (d_alpha == 0) continue;
      // alpha is 1/2 - t where the pixel that shows the triangle is blended, t - 1/2 where the other is.
      const double d_t = b.blends_second == b.is_second ? -d_alpha : d_alpha;
      const int64_t f = static_cast<int64_t>(rast[4 * (b.is_second ? second : first) + 3]) - 1;
      double d_vertex[9] = {};
      add_crossing_adjoint(grid, mesh, pos, row / grid.height, f,
                           {b.i, static_cast<int32_t>(row % grid.height), b.is_vertical != 0},
                           b.is_second != 0, b.edge, boost * d_t, d_vertex);
      int64_t place[3];
      mesh.corners(row / grid.height, f, place);
      T* const to = runs.begin(place, kOfVertex);
      for (int k = 0; k < 3; ++k) {
        to[4 * k] = static_cast<T>(d_vertex[3 * k]);
        to[4 * k + 1] = static_cast<T>(d_vertex[3 * k + 1]);
        to[4 * k + 3] = static_cast<T>(d_vertex[3 * k + 2]);
      }
    }
  };
  add_rows_to_vertices(n_images * grid.height, 2 * grid.width, kOfVertex, mesh.n_places(n_images), d_pos,
                       fill);
}

#define T3D_ANTIALIAS(T)                                                                                  \
  template Blends find_blends<T>(const PixelGrid&, int64_t, const MeshView&, const int32_t*, const T*,    \
                                 const T*);                                                               \
  template void blend<T>(const PixelGrid&, int64_t, const Blends&, int64_t, const T*, T*);                \
  template void blend_backward<T>(const PixelGrid&, int64_t, const Blends&, int64_t, const T*, T*);       \
  template void blend_backward_pos<T>(const PixelGrid&, int64_t, const MeshView&, const Blends&, int64_t, \
                                      const T*, const T*, const T*, const T*, double, T*);
T3D_ANTIALIAS(float)
T3D_ANTIALIAS(double)
#undef T3D_ANTIALIAS

}  // namespace t3d::raster::cpu
