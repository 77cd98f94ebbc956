#pragma once

#include <ATen/core/Tensor.h>

namespace t3d::ops {

/// Rows [...,C] of length 1; a row of zeros stays.
at::Tensor unit_rows(const at::Tensor& rows);

}  // namespace t3d::ops
