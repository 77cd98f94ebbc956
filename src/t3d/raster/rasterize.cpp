#include "t3d/raster/rasterize.h"

#include <ATen/ATen.h>

#include "t3d/raster/arguments.h"
#include "t3d/raster/barycentrics.h"

namespace t3d::raster {
namespace {

void check_rasterize(const at::Tensor& pos, const at::Tensor& tri, int64_t height, int64_t width,
                     const RasterizeOptions& options) {
  check_image_size("rasterize", height, width);
  check_mesh("rasterize", pos, tri);
  T3D_CHECK(options.ranges.defined() == (pos.dim() == 2),
            "rasterize: pos [V,4] comes with ranges, and pos [B,V,4] without; it is ", pos.sizes());
  if (options.ranges.defined()) check_ranges("rasterize", options.ranges, tri);
}

}  // namespace

Rasterized rasterize(const at::Tensor& pos, const at::Tensor& tri, int64_t height, int64_t width,
                     const RasterizeOptions& options) {
  return DepthPeeler(pos, tri, height, width, options).next_layer();
}

DepthPeeler::DepthPeeler(const at::Tensor& pos, const at::Tensor& tri, int64_t height, int64_t width,
                         const RasterizeOptions& options)
    : pos_(pos.contiguous()), tri_(tri.contiguous()), height_(height), width_(width), options_(options) {
  check_rasterize(pos_, tri_, height, width, options);
}

Rasterized DepthPeeler::next_layer() {
  last_ = visible_layer(pos_.detach(), tri_, options_.ranges, height_, width_,
                        last_.triangle.defined() ? &last_ : nullptr);
  return barycentrics(pos_, tri_, last_.triangle.slice(2, 0, width_), options_.derivatives);
}

}  // namespace t3d::raster
