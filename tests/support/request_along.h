#pragma once

#include <ATen/core/Tensor.h>

#include "t3d/render/render_request.h"

namespace t3d::testing {

/// Images along given rays, [B,H,W,3] each.
inline render::RenderRequest request_along(const at::Tensor& origins, const at::Tensor& directions) {
  return {origins.size(0), {origins.size(1), origins.size(2)}, [origins, directions] {
            return render::Rays{origins, directions};
          }};
}

}  // namespace t3d::testing
