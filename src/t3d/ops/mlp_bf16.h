#pragma once

#include <cstdint>

#include "t3d/ops/mlp_config.h"
#include "t3d/ops/rows.h"

/// mlp_forward and mlp_backward of mlp.h for Precision::Bfloat16: private to them.
namespace t3d::ops::cpu {

/// Whether there is a matrix_unit(); without one the other functions must not be called.
bool mlp_bf16_available();
void mlp_bf16_forward(const MlpConfig& config, const float* params, Rows<const float> x, int64_t n,
                      Rows<float> y);
void mlp_bf16_backward(const MlpConfig& config, const float* params, Rows<const float> x, int64_t n,
                       Rows<const float> y, Rows<const float> dy, Rows<float> dx, float* dparams);

}  // namespace t3d::ops::cpu
