#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

namespace t3d::ops::cuda {

/// See AdamConfig (ops/adam.h); the bias corrections are worked out by the caller.
struct AdamSettings {
  float beta1, beta2, eps, l2;
  float rate;            ///< lr / (1 - beta1^t)
  float v_scale;         ///< 1 / (1 - beta2^t)
  float gradient_scale;  ///< undoes the loss scale and the mean over rays
  bool skip_zero_gradients;
};

/// One step on [n] floats in place; gradients are cleared, and `half_params` gets the new values rounded.
/// A gradient that is not finite counts as zero.
void adam_step(float* params, __half* half_params, float* gradients, float* m, float* v, int64_t n,
               const AdamSettings& settings, cudaStream_t stream);

/// half_params = params.
void round_to_half(const float* params, __half* half_params, int64_t n, cudaStream_t stream);

}  // namespace t3d::ops::cuda
