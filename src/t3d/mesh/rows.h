#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace t3d::mesh {

/// Rows `index` [M] int64 of x [N,C]: [M,C]. Differentiable any number of times; the gradient is sum_rows.
at::Tensor gather_rows(const at::Tensor& x, const at::Tensor& index);

/// [n_rows,C]: row i is the sum of the rows of `values` [M,C] whose `index` [M] int64 is i. Differentiable
/// any number of times. Sums are taken in the order of the rows on every device, so that results repeat bit
/// for bit: one pass on the CPU, a sort on other devices.
at::Tensor sum_rows(const at::Tensor& values, const at::Tensor& index, int64_t n_rows);

}  // namespace t3d::mesh
