#pragma once

#include "t3d/render/renderer.h"

namespace t3d::render {

/// What lies behind the images of a request, [B,H,W,C]: the request's own background where it has one, else
/// the scene's along each pixel's ray, drawing its random numbers. Throws UserError where it has not the
/// material's `n_channels`.
at::Tensor background_of(const Scene& scene, const RenderRequest& request, int64_t n_channels,
                         bool is_training, Rng& rng);

}  // namespace t3d::render
