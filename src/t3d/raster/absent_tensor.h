#pragma once

#include <ATen/core/Tensor.h>

/// Tensors that may be undefined: gradients that nobody asked for, arguments that were left out.
namespace t3d::raster {

/// Null for an undefined tensor.
template <class T>
T* data_or_null(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr<T>() : nullptr;
}

/// Undefined for an undefined tensor.
inline at::Tensor contiguous_or_none(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.contiguous() : at::Tensor();
}

}  // namespace t3d::raster
