#pragma once

#include <cuda_runtime.h>

#include <cstdint>

/// Packed volume rendering on CUDA, float or double: launchers on raw device pointers, no torch header. The
/// maths is composite_recurrence.h's, a thread for each ray; arguments as in composite.h.
namespace t3d::ops::cuda {

template <class T>
void ray_weights(const int32_t* ray_start, int64_t n_rays, const T* alpha, const T* keep, T* weights,
                 T* transmittance, cudaStream_t stream);
template <class T>
void ray_weights_adjoint(const int32_t* ray_start, int64_t n_rays, const T* alpha, const T* keep,
                         const T* transmittance, const T* d_w, const T* d_t, T* d_alpha, cudaStream_t stream);
/// sums [R,C] overwritten from weights [S] and values [S,C]; a thread for each ray and channel.
template <class T>
void ray_sums(const int32_t* ray_start, int64_t n_rays, const T* weights, const T* values, int64_t n_channels,
              T* sums, cudaStream_t stream);
/// loss [R] overwritten.
template <class T>
void ray_distortion(const int32_t* ray_start, int64_t n_rays, const T* w, const T* t, const T* dt, T* loss,
                    cudaStream_t stream);
/// d_w [S] added to.
template <class T>
void ray_distortion_adjoint(const int32_t* ray_start, int64_t n_rays, const T* w, const T* t, const T* dt,
                            const T* d_loss, T* d_w, cudaStream_t stream);

}  // namespace t3d::ops::cuda
