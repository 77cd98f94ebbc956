#include "t3d/raster/antialias_cuda.h"

#include "t3d/raster/cuda_threads.h"
#include "t3d/raster/silhouette.h"

namespace t3d::raster::cuda {
namespace {

/// What pairs of pixels are looked up in.
template <class T>
struct PairSource {
  PixelGrid grid;
  MeshView mesh;
  const int32_t* opposite;
  const T *pos, *rast;
  int64_t n_channels;

  __device__ int64_t row_of(int64_t pixel) const { return pixel / grid.width; }
  __device__ int64_t second(int64_t first, bool is_vertical) const {
    return first + (is_vertical ? grid.width : 1);
  }
  __device__ PixelPair pair(int64_t first, bool is_vertical) const {
    return {static_cast<int32_t>(first % grid.width), static_cast<int32_t>(row_of(first) % grid.height),
            is_vertical};
  }
  /// False where the pair reaches beyond the image, or is not blended.
  __device__ bool find(int64_t first, bool is_vertical, Crossing& c) const {
    const PixelPair p = pair(first, is_vertical);
    if (is_vertical ? p.j + 1 >= grid.height : p.i + 1 >= grid.width) return false;
    const T *a = rast + 4 * first, *b = rast + 4 * second(first, is_vertical);
    return a[3] != b[3] && find_crossing(grid, mesh, opposite, pos, row_of(first) / grid.height, p, a, b, c);
  }
  /// Calls body(crossing, the blended pixel, the pixel blended into it) for the pairs of a pixel, in the
  /// order of the CPU's sums: with the one below, to the left, to the right and above.
  template <class Body>
  __device__ void for_pairs(int64_t pixel, const Body& body) const {
    const bool has_below = row_of(pixel) % grid.height != 0, has_left = pixel % grid.width != 0;
    const int64_t firsts[4] = {has_below ? pixel - grid.width : -1, has_left ? pixel - 1 : -1, pixel, pixel};
    for (int n = 0; n < 4; ++n) {
      const bool is_vertical = n == 0 || n == 3;
      Crossing c;
      if (firsts[n] < 0 || !find(firsts[n], is_vertical, c)) continue;
      const int64_t other = second(firsts[n], is_vertical);
      if (c.blends_second())
        body(c, other, firsts[n]);
      else
        body(c, firsts[n], other);
    }
  }
};

template <class T>
struct BlendPixel {
  PairSource<T> source;
  const T* color;
  T* out;

  __device__ void operator()(int64_t pixel) const {
    const int64_t n = source.n_channels;
    for (int64_t c = 0; c < n; ++c) out[pixel * n + c] = color[pixel * n + c];
    source.for_pairs(pixel, [&](const Crossing& crossing, int64_t into, int64_t from) {
      if (into != pixel) return;
      for (int64_t c = 0; c < n; ++c)
        out[pixel * n + c] += static_cast<T>(crossing.alpha()) * (color[from * n + c] - color[pixel * n + c]);
    });
  }
};

template <class T>
struct BlendPixelAdjoint {
  PairSource<T> source;
  const T* d_out;
  T* d_color;

  __device__ void operator()(int64_t pixel) const {
    const int64_t n = source.n_channels;
    for (int64_t c = 0; c < n; ++c) d_color[pixel * n + c] = d_out[pixel * n + c];
    source.for_pairs(pixel, [&](const Crossing& crossing, int64_t into, int64_t) {
      // Into this pixel: less of its own colour. Out of it: more of the other's gradient.
      const T alpha = static_cast<T>(into == pixel ? -crossing.alpha() : crossing.alpha());
      for (int64_t c = 0; c < n; ++c) d_color[pixel * n + c] += alpha * d_out[into * n + c];
    });
  }
};

template <class T>
struct AddBlendGradients {
  PairSource<T> source;
  const T *color, *d_out;
  double boost;
  T* d_pos;

  __device__ void add(int64_t first, bool is_vertical) const {
    Crossing crossing;
    if (!source.find(first, is_vertical, crossing) || crossing.is_clamped) return;
    const int64_t n = source.n_channels, other = source.second(first, is_vertical);
    const int64_t into = crossing.blends_second() ? other : first,
                  from = crossing.blends_second() ? first : other;
    double d_alpha = 0;
    for (int64_t c = 0; c < n; ++c)
      d_alpha += static_cast<double>(d_out[into * n + c]) * (color[from * n + c] - color[into * n + c]);
    if (d_alpha == 0) return;
    const double d_t = crossing.blends_second() == crossing.is_second ? -d_alpha : d_alpha;
    const int64_t image = source.row_of(first) / source.grid.height;
    const int64_t f = static_cast<int64_t>(source.rast[4 * (crossing.is_second ? other : first) + 3]) - 1;
    double d_vertex[9] = {};
    add_crossing_adjoint(source.grid, source.mesh, source.pos, image, f, source.pair(first, is_vertical),
                         crossing.is_second, crossing.edge, boost * d_t, d_vertex);
    int64_t place[3];
    source.mesh.corners(image, f, place);
    for (int k = 0; k < 3; ++k) {
      if (k == crossing.edge) continue;
      atomicAdd(d_pos + 4 * place[k], static_cast<T>(d_vertex[3 * k]));
      atomicAdd(d_pos + 4 * place[k] + 1, static_cast<T>(d_vertex[3 * k + 1]));
      atomicAdd(d_pos + 4 * place[k] + 3, static_cast<T>(d_vertex[3 * k + 2]));
    }
  }

  __device__ void operator()(int64_t pixel) const {
    add(pixel, false);
    add(pixel, true);
  }
};

}  // namespace

template <class T>
void antialias_forward(const PixelGrid& grid, int64_t n_images, const MeshView& mesh, const int32_t* opposite,
                       const T* pos, const T* rast, int64_t n_channels, const T* color, T* out,
                       cudaStream_t stream) {
  const PairSource<T> source{grid, mesh, opposite, pos, rast, n_channels};
  for_each_item(n_images * grid.height * grid.width, stream, BlendPixel<T>{source, color, out});
}

template <class T>
void antialias_backward(const PixelGrid& grid, int64_t n_images, const MeshView& mesh,
                        const int32_t* opposite, const T* pos, const T* rast, int64_t n_channels,
                        const T* color, const T* d_out, double boost, T* d_color, T* d_pos,
                        cudaStream_t stream) {
  const PairSource<T> source{grid, mesh, opposite, pos, rast, n_channels};
  const int64_t n = n_images * grid.height * grid.width;
  if (d_color != nullptr) for_each_item(n, stream, BlendPixelAdjoint<T>{source, d_out, d_color});
  if (d_pos != nullptr) for_each_item(n, stream, AddBlendGradients<T>{source, color, d_out, boost, d_pos});
}

#define T3D_ANTIALIAS_CUDA(T)                                                                               \
  template void antialias_forward<T>(const PixelGrid&, int64_t, const MeshView&, const int32_t*, const T*,  \
                                     const T*, int64_t, const T*, T*, cudaStream_t);                        \
  template void antialias_backward<T>(const PixelGrid&, int64_t, const MeshView&, const int32_t*, const T*, \
                                      const T*, int64_t, const T*, const T*, double, T*, T*, cudaStream_t);
T3D_ANTIALIAS_CUDA(float)
T3D_ANTIALIAS_CUDA(double)

}  // namespace t3d::raster::cuda
