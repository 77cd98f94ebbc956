#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "t3d/ops/cuda_check.h"

/// A thread for each item, for the kernels of this module.
namespace t3d::raster::cuda {

constexpr int kThreadsOfBlock = 128;

template <class Body>
__global__ void item_kernel(int64_t n, Body body) {
  const int64_t item = blockIdx.x * int64_t{kThreadsOfBlock} + threadIdx.x;
  if (item < n) body(item);
}

/// Calls body(0) .. body(n - 1) on the device. Body: a struct with a __device__ operator().
template <class Body>
void for_each_item(int64_t n, cudaStream_t stream, const Body& body) {
  if (n == 0) return;
  item_kernel<<<static_cast<unsigned>((n + kThreadsOfBlock - 1) / kThreadsOfBlock), kThreadsOfBlock, 0,
                stream>>>(n, body);
  T3D_CUDA(cudaGetLastError());
}

}  // namespace t3d::raster::cuda
