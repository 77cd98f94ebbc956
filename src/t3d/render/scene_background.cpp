#include "t3d/render/scene_background.h"

#include <ATen/ATen.h>

#include "t3d/core/error.h"

namespace t3d::render {

at::Tensor background_of(const Scene& scene, const RenderRequest& request, int64_t n_channels,
                         bool is_training, Rng& rng) {
  const int64_t B = request.n_images(), H = request.height(), W = request.width();
  at::Tensor colours = request.background.defined()
                           ? request.background
                           : (*scene.background)(request.rays().directions, is_training, rng);
  if (colours.dim() == 2) colours = colours.reshape({B, 1, 1, -1});
  if (colours.size(-1) != n_channels)
    throw UserError(cat("the background has ", colours.size(-1), " channels and the material ", n_channels,
                        ". Give both the same n_output_dims."));
  return colours.expand({B, H, W, n_channels});
}

}  // namespace t3d::render
