#pragma once

#include <ATen/ATen.h>

#include "t3d/core/error.h"
#include "t3d/ops/norm_kernels.h"

/// What the bfloat16 operators for the CPU share: tensors as their kernels see them.
namespace t3d::ops {

/// The numbers of a bfloat16 tensor; null for an undefined one.
inline const uint16_t* bf16_numbers(const at::Tensor& x) {
  return x.defined() ? static_cast<const uint16_t*>(x.data_ptr()) : nullptr;
}
inline uint16_t* bf16_numbers_to_write(const at::Tensor& x) {
  return static_cast<uint16_t*>(x.data_ptr());
}

/// bfloat16 or float.
inline cpu::Numbers numbers_of(const at::Tensor& x) {
  T3D_CHECK(x.scalar_type() == at::kBFloat16 || x.scalar_type() == at::kFloat, "numbers of type ",
            c10::toString(x.scalar_type()));
  return {x.data_ptr(), x.scalar_type() == at::kFloat};
}

/// An empty picture whose numbers lie as [B,H,W,C] whatever its sizes are.
inline at::Tensor empty_picture(int64_t b, int64_t c, int64_t h, int64_t w,
                                const at::TensorOptions& options) {
  return at::empty({b, h, w, c}, options).permute({0, 3, 1, 2});
}

}  // namespace t3d::ops
