#pragma once

#include <cstdint>

#include "t3d/ops/hash_grid_layout.h"

/// What hash_grid_cpu.cpp (threads) asks of hash_grid_kernels.cpp (instruction sets): one level, some
/// samples.
namespace t3d::ops::cpu {

struct LevelTask {
  int n_dims, n_features;
  bool is_smooth;
  const HashGridLevel* level;
  const float* x;  ///< D arrays, `pitch` floats apart; readable up to 32 floats past the last sample
  int64_t pitch;
  const float* table = nullptr;  ///< the level's first parameter
  float* dtable = nullptr;       ///< its gradient
  const float* dy = nullptr;     ///< gradient of sample 0's features in this level
  int64_t dy_stride = 0;
  float* out = nullptr;  ///< forward: sample 0's features; input gradient: D arrays, out_stride floats apart
  int64_t out_stride = 0;
};

/// Samples begin..end of the task.
using LevelKernel = void (*)(const LevelTask&, int64_t begin, int64_t end);

struct LevelKernels {
  LevelKernel forward;  ///< writes out
  LevelKernel scatter;  ///< adds to dtable, sample after sample
  LevelKernel input;    ///< adds to out, which must be writable up to 32 floats past `end`
};

/// Those of the instruction set that simd() names.
LevelKernels level_kernels();

}  // namespace t3d::ops::cpu
