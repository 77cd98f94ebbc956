#include "t3d/raster/interpolate_cuda.h"

#include "t3d/raster/cuda_threads.h"

namespace t3d::raster::cuda {
namespace {

template <class T>
struct InterpolatePixel {
  int64_t pixels_of_image;
  MeshView mesh;
  InterpolationInput<T> in;
  T *out, *out_da;

  __device__ void operator()(int64_t p) const {
    const int64_t id = static_cast<int64_t>(in.rast[4 * p + 3]);
    T* const da = out_da != nullptr ? out_da + 2 * in.n_diff * p : nullptr;
    if (id == 0) {
      for (int64_t n = 0; n < in.n_attr; ++n) out[p * in.n_attr + n] = T(0);
      for (int64_t n = 0; da != nullptr && n < 2 * in.n_diff; ++n) da[n] = T(0);
      return;
    }
    int64_t place[3];
    mesh.corners(p / pixels_of_image, id - 1, place);
    const CornerValues<T> c = corner_values(in.attr, in.n_attr, place);
    interpolate_pixel(c, in.n_attr, in.rast + 4 * p, out + p * in.n_attr);
    if (da != nullptr) interpolate_pixel_derivatives(c, in, in.rast_db + 4 * p, da);
  }
};

/// Adds to the attributes' gradient, if there is one.
template <class T>
struct AddToCorner {
  T* d_attr;
  const int64_t* place;
  int64_t n_attr;
  __device__ void operator()(int corner, int64_t n, T value) const {
    if (d_attr != nullptr) atomicAdd(d_attr + place[corner] * n_attr + n, value);
  }
};

template <class T>
struct InterpolatePixelAdjoint {
  int64_t pixels_of_image;
  MeshView mesh;
  InterpolationInput<T> in;
  const T *d_out, *d_out_da;
  InterpolationGradients<T> to;

  __device__ void operator()(int64_t p) const {
    const int64_t id = static_cast<int64_t>(in.rast[4 * p + 3]);
    if (id == 0) return;
    int64_t place[3];
    mesh.corners(p / pixels_of_image, id - 1, place);
    const CornerValues<T> c = corner_values(in.attr, in.n_attr, place);
    const AddToCorner<T> add{to.attr, place, in.n_attr};
    T unused[4] = {};
    T* const d_rast = to.rast != nullptr ? to.rast + 4 * p : unused;
    if (d_out != nullptr)
      interpolate_pixel_adjoint(c, in.n_attr, in.rast + 4 * p, d_out + p * in.n_attr, d_rast, add);
    if (d_out_da != nullptr)
      interpolate_derivatives_adjoint(c, in, in.rast_db + 4 * p, d_out_da + 2 * in.n_diff * p, to.db + 4 * p,
                                      add);
  }
};

}  // namespace

template <class T>
void interpolate_forward(const PixelGrid& grid, int64_t n_images, const MeshView& mesh,
                         const InterpolationInput<T>& in, T* out, T* out_da, cudaStream_t stream) {
  const int64_t pixels = int64_t{grid.width} * grid.height;
  for_each_item(n_images * pixels, stream, InterpolatePixel<T>{pixels, mesh, in, out, out_da});
}

template <class T>
void interpolate_backward(const PixelGrid& grid, int64_t n_images, const MeshView& mesh,
                          const InterpolationInput<T>& in, const T* d_out, const T* d_out_da,
                          const InterpolationGradients<T>& to, cudaStream_t stream) {
  const int64_t pixels = int64_t{grid.width} * grid.height;
  for_each_item(n_images * pixels, stream, InterpolatePixelAdjoint<T>{pixels, mesh, in, d_out, d_out_da, to});
}

#define T3D_INTERPOLATE_CUDA(T)                                                             \
  template void interpolate_forward<T>(const PixelGrid&, int64_t, const MeshView&,          \
                                       const InterpolationInput<T>&, T*, T*, cudaStream_t); \
  template void interpolate_backward<T>(const PixelGrid&, int64_t, const MeshView&,         \
                                        const InterpolationInput<T>&, const T*, const T*,   \
                                        const InterpolationGradients<T>&, cudaStream_t);
T3D_INTERPOLATE_CUDA(float)
T3D_INTERPOLATE_CUDA(double)

}  // namespace t3d::raster::cuda
