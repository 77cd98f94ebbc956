#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "t3d/ops/adam_config.h"

namespace t3d::ops::cuda {

/// What a step does beside Adam's arithmetic.
struct AdamExtras {
  __half* half_params = nullptr;    ///< [n], gets the new values rounded; null: nobody needs them
  bool clear_gradients = true;      ///< the gradients are zero afterwards
  bool zero_bad_gradients = false;  ///< a gradient that is not finite counts as zero
};

/// One step on [n] floats in place. All pointers are aligned for two floats (half_params: for two halves).
void adam_step(float* params, float* gradients, float* m, float* v, int64_t n, const AdamFactors& factors,
               const AdamExtras& extras, cudaStream_t stream);

/// half_params = params.
void round_to_half(const float* params, __half* half_params, int64_t n, cudaStream_t stream);

}  // namespace t3d::ops::cuda
