#include "t3d/raster/barycentrics_cuda.h"

#include "t3d/raster/cuda_threads.h"
#include "t3d/raster/pixel_values.h"

namespace t3d::raster::cuda {
namespace {

template <class T>
struct WriteBarycentrics {
  PixelGrid grid;
  MeshView mesh;
  const T* pos;
  const int32_t* triangle;
  int64_t row_stride;
  T *rast, *rast_db;

  __device__ void operator()(int64_t pixel) const {
    const int64_t row = pixel / grid.width;
    const int32_t i = static_cast<int32_t>(pixel % grid.width), j = static_cast<int32_t>(row % grid.height);
    const int32_t id = triangle[row * row_stride + i];
    T* const db = rast_db != nullptr ? rast_db + 4 * pixel : nullptr;
    if (id != 0)
      return write_barycentrics(see_triangle(grid, mesh, pos, row / grid.height, id), i, j, rast + 4 * pixel,
                                db);
    for (int k = 0; k < 4; ++k) {
      rast[4 * pixel + k] = T(0);
      if (db != nullptr) db[k] = T(0);
    }
  }
};

template <class T>
struct AddBarycentricsGradients {
  PixelGrid grid;
  MeshView mesh;
  const T* pos;
  const int32_t* triangle;
  int64_t row_stride;
  const T *d_rast, *d_rast_db;
  T* d_pos;

  __device__ void operator()(int64_t pixel) const {
    const int64_t row = pixel / grid.width;
    const int32_t i = static_cast<int32_t>(pixel % grid.width), j = static_cast<int32_t>(row % grid.height);
    const int32_t id = triangle[row * row_stride + i];
    if (id == 0) return;
    int64_t place[3];
    mesh.corners(row / grid.height, id - 1, place);
    const ClipVertex v[3] = {clip_vertex(pos, place[0]), clip_vertex(pos, place[1]),
                             clip_vertex(pos, place[2])};
    double sum[9] = {};
    add_barycentrics_adjoint(grid, v, edge_lines(v), i, j,
                             read_gradients(d_rast != nullptr ? d_rast + 4 * pixel : nullptr,
                                            d_rast_db != nullptr ? d_rast_db + 4 * pixel : nullptr),
                             sum);
    for (int k = 0; k < 3; ++k) {
      atomicAdd(d_pos + 4 * place[k], static_cast<T>(sum[3 * k]));
      atomicAdd(d_pos + 4 * place[k] + 1, static_cast<T>(sum[3 * k + 1]));
      atomicAdd(d_pos + 4 * place[k] + 3, static_cast<T>(sum[3 * k + 2]));
    }
  }
};

}  // namespace

template <class T>
void barycentrics_forward(const PixelGrid& grid, int64_t n_images, const MeshView& mesh, const T* pos,
                          const int32_t* triangle, int64_t row_stride, T* rast, T* rast_db,
                          cudaStream_t stream) {
  for_each_item(n_images * grid.height * grid.width, stream,
                WriteBarycentrics<T>{grid, mesh, pos, triangle, row_stride, rast, rast_db});
}

template <class T>
void barycentrics_backward(const PixelGrid& grid, int64_t n_images, const MeshView& mesh, const T* pos,
                           const int32_t* triangle, int64_t row_stride, const T* d_rast, const T* d_rast_db,
                           T* d_pos, cudaStream_t stream) {
  for_each_item(n_images * grid.height * grid.width, stream,
                AddBarycentricsGradients<T>{grid, mesh, pos, triangle, row_stride, d_rast, d_rast_db, d_pos});
}

#define T3D_BARYCENTRICS_CUDA(T)                                                               \
  template void barycentrics_forward<T>(const PixelGrid&, int64_t, const MeshView&, const T*,  \
                                        const int32_t*, int64_t, T*, T*, cudaStream_t);        \
  template void barycentrics_backward<T>(const PixelGrid&, int64_t, const MeshView&, const T*, \
                                         const int32_t*, int64_t, const T*, const T*, T*, cudaStream_t);
T3D_BARYCENTRICS_CUDA(float)
T3D_BARYCENTRICS_CUDA(double)

}  // namespace t3d::raster::cuda
