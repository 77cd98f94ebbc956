#include "t3d/data/camera_rays.h"

#include <ATen/ATen.h>

namespace t3d::data {

CameraRays camera_rays(const CameraBatch& batch) {
  const int64_t B = batch.n(), height = batch.height, width = batch.width;
  const auto options = batch.c2w.options();
  const auto f = batch.focal.reshape({B, 1, 1});
  const auto x = ((at::arange(width, options) + 0.5 - 0.5 * static_cast<double>(width)) / f)
                     .expand({B, height, width});  // [B,H,W]
  const auto y = (-(at::arange(height, options).unsqueeze(1) + 0.5 - 0.5 * static_cast<double>(height)) / f)
                     .expand({B, height, width});
  const auto local = at::stack({x, y, at::full_like(x, -1)}, -1).reshape({B, -1, 3});
  auto directions = at::matmul(local, batch.c2w.slice(1, 0, 3).slice(2, 0, 3).transpose(1, 2));  // [B,HW,3]
  if (batch.has_unit_rays) directions = directions / directions.norm(2, at::IntArrayRef{-1}, true);
  return {batch.camera_positions.reshape({B, 1, 1, 3}).expand({B, height, width, 3}).contiguous(),
          directions.reshape({B, height, width, 3})};
}

}  // namespace t3d::data
