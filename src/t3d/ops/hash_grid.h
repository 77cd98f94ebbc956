#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "t3d/ops/hash_grid_layout.h"
#include "t3d/ops/rows.h"

namespace t3d::ops {

/// Multi-resolution hash encoding. Müller et al. 2022, Instant Neural Graphics Primitives, arXiv:2201.05989.
///
///   x        [N,D]   float or double, in [0,1]^D (values outside wrap around; nothing is read out of bounds)
///   params   [P]     same type; P = layout.n_params(); level after level, entry after entry, F together
///   n_active_levels  levels from here on give zeros and receive no gradient; -1: all
///   (ProgressiveBandHashGrid) returns  [N,L*F] same type, level after level
///
/// Differentiable in x and params, and twice in x (so that analytic normals can be part of a loss). Float on
/// the CPU runs the vectorised kernels below; double runs the reference of hash_grid_reference.h. Throws
/// BugError on a wrong shape or type.
at::Tensor hash_grid_encode(const at::Tensor& x, const at::Tensor& params, const HashGridLayout& layout,
                            int n_active_levels = -1);

/// [P] float parameters, uniform in (-1e-4, 1e-4), a function of the seed alone.
at::Tensor hash_grid_init(const HashGridLayout& layout, uint64_t seed);

/// How many levels of a ProgressiveBandHashGrid are visible at `step`:
/// min(start_level + max(step - start_step, 0) / update_steps, n_levels).
struct ProgressiveBand {
  int start_level = 1, start_step = 0, update_steps = 1;
  int levels_at(int64_t step, int n_levels) const;
};

}  // namespace t3d::ops

/// Raw kernels: float pointers, all cores (OpenMP), AVX-512, AVX2 or portable code chosen at run time.
/// Results do not depend on the number of threads. x is [n] rows of D floats, x_stride floats apart.
namespace t3d::ops::cpu {

/// Writes out (L*F components per row; levels from n_active_levels on are set to zero).
/// Fastest with out = level_rows(..., level_pitch(...), ...): whole levels stream through the cache.
void hash_grid_forward(const HashGridLayout& layout, const float* params, const float* x, int64_t x_stride,
                       int64_t n, Rows<float> out, int n_active_levels = -1);

/// dparams [P] += d(sum(out * dy)) / dparams. The caller clears dparams.
void hash_grid_backward_params(const HashGridLayout& layout, const float* x, int64_t x_stride, int64_t n,
                               Rows<const float> dy, float* dparams, int n_active_levels = -1);

/// dx = d(sum(out * dy)) / dx; rows of D floats, dx_stride apart, overwritten.
void hash_grid_backward_input(const HashGridLayout& layout, const float* params, const float* x,
                              int64_t x_stride, int64_t n, Rows<const float> dy, float* dx, int64_t dx_stride,
                              int n_active_levels = -1);

/// The backward pass of hash_grid_backward_input: with v [n,D] the gradient that arrives at its dx,
///   ddy      (L*F per row, overwritten)   d(sum(dx * v)) / d dy
///   dparams  [P] += d(sum(dx * v)) / d params
///   dx2      [n,D] overwritten            d(sum(dx * v)) / d x
/// Any of the three may be null.
void hash_grid_backward_backward_input(const HashGridLayout& layout, const float* params, const float* x,
                                       int64_t x_stride, int64_t n, Rows<const float> dy, const float* v,
                                       int64_t v_stride, Rows<float> ddy, float* dparams, float* dx2,
                                       int64_t dx2_stride, int n_active_levels = -1);

}  // namespace t3d::ops::cpu
