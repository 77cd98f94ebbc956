#include "t3d/ops/cuda_check.h"
#include "t3d/raster/texture_cuda.h"

namespace t3d::raster::cuda {
namespace {

using lookup::PlaceGradients;
using lookup::Places;
using lookup::TextureView;

constexpr int kTextureThreads = 128;

unsigned texture_blocks(int64_t n) {
  return static_cast<unsigned>((n + kTextureThreads - 1) / kTextureThreads);
}

template <class T>
__global__ void sample_kernel(const __grid_constant__ TextureView<T> view,
                              const __grid_constant__ Places<T> places, T* out) {
  const int64_t i = blockIdx.x * int64_t{kTextureThreads} + threadIdx.x;
  if (i < places.n) sample_at(view, places, i, out);
}

template <class T>
__global__ void adjoint_kernel(const __grid_constant__ TextureView<T> view,
                               const __grid_constant__ Places<T> places, const T* __restrict__ d_out,
                               const __grid_constant__ PlaceGradients<T> gradients, T* d_texels) {
  const int64_t i = blockIdx.x * int64_t{kTextureThreads} + threadIdx.x;
  if (i >= places.n) return;
  sample_adjoint_at(view, places, i, d_out, gradients, [&](int64_t texel, T weight) {
    if (d_texels == nullptr) return;
    for (int c = 0; c < view.n_channels; ++c)
      atomicAdd(d_texels + texel * view.n_channels + c, weight * d_out[i * view.n_channels + c]);
  });
}

}  // namespace

template <class T>
void sample_texture(const TextureView<T>& view, const Places<T>& places, T* out, cudaStream_t stream) {
  if (places.n == 0) return;
  sample_kernel<<<texture_blocks(places.n), kTextureThreads, 0, stream>>>(view, places, out);
  T3D_CUDA(cudaGetLastError());
}

template <class T>
void sample_texture_adjoint(const TextureView<T>& view, const Places<T>& places, const T* d_out,
                            const PlaceGradients<T>& gradients, T* d_texels, cudaStream_t stream) {
  if (places.n == 0) return;
  adjoint_kernel<<<texture_blocks(places.n), kTextureThreads, 0, stream>>>(view, places, d_out, gradients,
                                                                           d_texels);
  T3D_CUDA(cudaGetLastError());
}

#define T3D_TEXTURE_TYPE(T)                                                                   \
  template void sample_texture<T>(const TextureView<T>&, const Places<T>&, T*, cudaStream_t); \
  template void sample_texture_adjoint<T>(const TextureView<T>&, const Places<T>&, const T*,  \
                                          const PlaceGradients<T>&, T*, cudaStream_t);
T3D_TEXTURE_TYPE(float)
T3D_TEXTURE_TYPE(double)

}  // namespace t3d::raster::cuda
