#pragma once

#include <cuda_runtime.h>

#include <cstdint>

/// Group normalisation of channels-last pictures on CUDA: launchers on raw device pointers, no torch header.
namespace t3d::ops::cuda {

enum class Real { Half, BFloat16, Float };

/// x is [n,pixels,channels] in memory; channels is a multiple of 8 and of groups, at most 4096.
struct GroupNormShape {
  int64_t n, pixels;
  int channels, groups;
  float eps;
  bool with_silu;
};

/// Parts into which a picture is cut: each is summed by a block of its own.
int group_norm_chunks(const GroupNormShape& shape);

/// partial [n,chunks,groups,2] is scratch; statistics [n,groups,2] gets mean and 1/sqrt(variance + eps).
void group_norm(const GroupNormShape& shape, Real type, const void* x, const void* weight, const void* bias,
                float* partial, float* statistics, void* y, cudaStream_t stream);

/// partial [n,chunks,channels,2] gets sums over pixels of dz and of dz times the normalised x: summed over n
/// and chunks they are the gradients of bias and weight.
void group_norm_adjoint(const GroupNormShape& shape, Real type, const void* x, const void* weight,
                        const void* bias, const float* statistics, const void* dy, float* partial, void* dx,
                        cudaStream_t stream);

}  // namespace t3d::ops::cuda
