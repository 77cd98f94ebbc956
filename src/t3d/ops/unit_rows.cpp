#include "t3d/ops/unit_rows.h"

#include <ATen/ATen.h>

namespace t3d::ops {

at::Tensor unit_rows(const at::Tensor& rows) {
  return rows / rows.norm(2, at::IntArrayRef{-1}, true).clamp_min(1e-12);
}

}  // namespace t3d::ops
