#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#include "t3d/core/error.h"

/// Throws SystemError when a CUDA call fails.
#define T3D_CUDA(call)                                                                            \
  do {                                                                                            \
    const cudaError_t t3d_status = (call);                                                        \
    if (t3d_status != cudaSuccess)                                                                \
      throw ::t3d::SystemError(::t3d::cat(__FILE__, ":", __LINE__,                                \
                                          ": CUDA says: ", cudaGetErrorString(t3d_status),        \
                                          ". If memory ran out, use a smaller batch or table.")); \
  } while (false)

namespace t3d::ops {

/// Device memory that only grows. Contents are lost when it does.
template <class T>
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  ~DeviceBuffer() { cudaFree(data_); }
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;

  T* need(size_t n) {
    if (n > size_) {
      T3D_CUDA(cudaFree(data_));
      data_ = nullptr;
      size_ = 0;
      T3D_CUDA(cudaMalloc(reinterpret_cast<void**>(&data_), n * sizeof(T)));
      size_ = n;
    }
    return data_;
  }
  T* data() { return data_; }
  const T* data() const { return data_; }
  size_t size() const { return size_; }
  size_t bytes() const { return size_ * sizeof(T); }

  void upload(const T* host, size_t n) {
    T3D_CUDA(cudaMemcpy(need(n), host, n * sizeof(T), cudaMemcpyHostToDevice));
  }
  void download(T* host, size_t n) const {
    T3D_CUDA(cudaMemcpy(host, data_, n * sizeof(T), cudaMemcpyDeviceToHost));
  }

 private:
  T* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace t3d::ops
