#pragma once

#include <ATen/core/Tensor.h>

#ifdef T3D_HAS_CUDA
#include <c10/cuda/CUDAStream.h>
#endif

#include "t3d/core/error.h"
#include "t3d/core/text.h"

namespace t3d::ops {

/// True for a CUDA tensor of a build that has CUDA kernels, false for a CPU tensor. Another device is a
/// SystemError.
inline bool runs_on_cuda(const at::Tensor& t) {
  if (t.device().is_cpu()) return false;
#ifdef T3D_HAS_CUDA
  if (t.device().is_cuda()) return true;
#endif
  throw SystemError(cat("this build of t3d has no kernels for the device ", t.device().str(),
                        ". Use --device cpu, or build with a LibTorch that has CUDA."));
}

#ifdef T3D_HAS_CUDA
inline cudaStream_t current_stream() {
  return c10::cuda::getCurrentCUDAStream().stream();
}
#endif

}  // namespace t3d::ops
