#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

namespace t3d::diffusion {

/// The tensor in contiguous memory of its own, converted. Whole numbers (token positions) keep their type.
at::Tensor converted_copy(const at::Tensor& tensor, at::ScalarType dtype, c10::Device device);

}  // namespace t3d::diffusion
