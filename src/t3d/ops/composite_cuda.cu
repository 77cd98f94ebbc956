#include "t3d/ops/composite_cuda.h"

#include "t3d/ops/composite_recurrence.h"
#include "t3d/ops/cuda_check.h"

namespace t3d::ops::cuda {
namespace {

constexpr int kThreads = 128;

unsigned blocks_for(int64_t n) {
  return static_cast<unsigned>((n + kThreads - 1) / kThreads);
}

template <class Body>
__global__ void ray_kernel(const int32_t* ray_start, int64_t n_rays, Body body) {
  const int64_t r = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (r < n_rays) body(r, int64_t{ray_start[r]}, int64_t{ray_start[r + 1]} - ray_start[r]);
}

template <class Body>
void for_each_ray(const int32_t* ray_start, int64_t n_rays, cudaStream_t stream, Body body) {
  if (n_rays == 0) return;
  ray_kernel<<<blocks_for(n_rays), kThreads, 0, stream>>>(ray_start, n_rays, body);
  T3D_CUDA(cudaGetLastError());
}

template <class T>
struct Weights {
  const T *alpha, *keep;
  T *w, *transmittance;
  __device__ void operator()(int64_t, int64_t s, int64_t n) const {
    recurrence::weights(alpha + s, keep + s, n, w + s, transmittance + s);
  }
};

template <class T>
struct WeightsAdjoint {
  const T *alpha, *keep, *transmittance, *d_w, *d_t;
  T* d_alpha;
  __device__ void operator()(int64_t, int64_t s, int64_t n) const {
    recurrence::weights_adjoint(alpha + s, keep + s, transmittance + s, d_w + s, d_t + s, n, d_alpha + s);
  }
};

template <class T>
struct Distortion {
  const T *w, *t, *dt;
  T* loss;
  __device__ void operator()(int64_t r, int64_t s, int64_t n) const {
    loss[r] = n > 0 ? recurrence::distortion(w + s, t + s, dt + s, n) : T(0);
  }
};

template <class T>
struct DistortionAdjoint {
  const T *w, *t, *dt, *d_loss;
  T* d_w;
  __device__ void operator()(int64_t r, int64_t s, int64_t n) const {
    if (n > 0) recurrence::distortion_adjoint(w + s, t + s, dt + s, n, d_loss[r], d_w + s);
  }
};

template <class T>
__global__ void sums_kernel(const int32_t* ray_start, int64_t n_rays, const T* __restrict__ weights,
                            const T* __restrict__ values, int64_t n_channels, T* __restrict__ sums) {
  const int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (i >= n_rays * n_channels) return;
  const int64_t ray = i / n_channels, channel = i % n_channels;
  T sum = 0;
  for (int32_t s = ray_start[ray]; s < ray_start[ray + 1]; ++s)
    sum += weights[s] * values[s * n_channels + channel];
  sums[i] = sum;
}

}  // namespace

template <class T>
void ray_weights(const int32_t* ray_start, int64_t n_rays, const T* alpha, const T* keep, T* weights,
                 T* transmittance, cudaStream_t stream) {
  for_each_ray(ray_start, n_rays, stream, Weights<T>{alpha, keep, weights, transmittance});
}

template <class T>
void ray_weights_adjoint(const int32_t* ray_start, int64_t n_rays, const T* alpha, const T* keep,
                         const T* transmittance, const T* d_w, const T* d_t, T* d_alpha,
                         cudaStream_t stream) {
  for_each_ray(ray_start, n_rays, stream, WeightsAdjoint<T>{alpha, keep, transmittance, d_w, d_t, d_alpha});
}

template <class T>
void ray_sums(const int32_t* ray_start, int64_t n_rays, const T* weights, const T* values, int64_t n_channels,
              T* sums, cudaStream_t stream) {
  if (n_rays * n_channels == 0) return;
  sums_kernel<<<blocks_for(n_rays * n_channels), kThreads, 0, stream>>>(ray_start, n_rays, weights, values,
                                                                        n_channels, sums);
  T3D_CUDA(cudaGetLastError());
}

template <class T>
void ray_distortion(const int32_t* ray_start, int64_t n_rays, const T* w, const T* t, const T* dt, T* loss,
                    cudaStream_t stream) {
  for_each_ray(ray_start, n_rays, stream, Distortion<T>{w, t, dt, loss});
}

template <class T>
void ray_distortion_adjoint(const int32_t* ray_start, int64_t n_rays, const T* w, const T* t, const T* dt,
                            const T* d_loss, T* d_w, cudaStream_t stream) {
  for_each_ray(ray_start, n_rays, stream, DistortionAdjoint<T>{w, t, dt, d_loss, d_w});
}

#define T3D_RAY_TYPE(T)                                                                                     \
  template void ray_weights<T>(const int32_t*, int64_t, const T*, const T*, T*, T*, cudaStream_t);          \
  template void ray_weights_adjoint<T>(const int32_t*, int64_t, const T*, const T*, const T*, const T*,     \
                                       const T*, T*, cudaStream_t);                                         \
  template void ray_sums<T>(const int32_t*, int64_t, const T*, const T*, int64_t, T*, cudaStream_t);        \
  template void ray_distortion<T>(const int32_t*, int64_t, const T*, const T*, const T*, T*, cudaStream_t); \
  template void ray_distortion_adjoint<T>(const int32_t*, int64_t, const T*, const T*, const T*, const T*,  \
                                          T*, cudaStream_t);
T3D_RAY_TYPE(float)
T3D_RAY_TYPE(double)

}  // namespace t3d::ops::cuda
