#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "t3d/ops/hash_grid_layout.h"

/// Hash grid on CUDA in float or double, 2 to 4 dimensions, any number of features: what hash_grid_encode
/// runs on CUDA tensors, first and second derivatives included. Launchers on raw device pointers, no torch
/// header. Arrays are row-major as in hash_grid_reference.h. The half-precision kernels of instant-NGP
/// training are in hash_grid_cuda.h. Sums over samples use atomic additions: their last bits vary from run to
/// run.
namespace t3d::ops::cuda {

/// y [n,L*F] overwritten.
template <class T>
void grid_forward(const HashGridLayout& layout, const T* params, const T* x, int64_t n, T* y, int n_active,
                  cudaStream_t stream);
/// dparams [P] added to.
template <class T>
void grid_backward_params(const HashGridLayout& layout, const T* x, int64_t n, const T* dy, T* dparams,
                          int n_active, cudaStream_t stream);
/// dx [n,D] overwritten.
template <class T>
void grid_backward_input(const HashGridLayout& layout, const T* params, const T* x, int64_t n, const T* dy,
                         T* dx, int n_active, cudaStream_t stream);
/// Gradients of sum(dx * v): ddy [n,L*F] and dx2 [n,D] overwritten, dparams [P] added to; each may be null.
template <class T>
void grid_backward_backward_input(const HashGridLayout& layout, const T* params, const T* x, int64_t n,
                                  const T* dy, const T* v, T* ddy, T* dparams, T* dx2, int n_active,
                                  cudaStream_t stream);

}  // namespace t3d::ops::cuda
