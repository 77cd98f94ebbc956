#include "t3d/raster/visibility.h"

#include <ATen/ATen.h>

#include <limits>

#include "t3d/ops/device.h"
#include "t3d/raster/arguments.h"
#include "t3d/raster/draw_image.h"

#ifdef T3D_HAS_CUDA
#include "t3d/raster/visibility_cuda.h"
#endif

namespace t3d::raster {
namespace {

/// Columns of a row in memory: whole tiles on the CPU.
int64_t row_stride(const at::Tensor& pos, int64_t width) {
  return ops::runs_on_cuda(pos) ? width : (width + cpu::kTile - 1) / cpu::kTile * cpu::kTile;
}

}  // namespace

VisibleLayer visible_layer(const at::Tensor& pos, const at::Tensor& tri, const at::Tensor& ranges,
                           int64_t height, int64_t width, const VisibleLayer* front) {
  const int64_t n_images = image_count(pos, ranges), stride = row_stride(pos, width);
  const int64_t n_vertices = pos.size(-2), image_step = pos.dim() == 3 ? 4 * n_vertices : 0;
  VisibleLayer layer{at::zeros({n_images, height, stride}, tri.options()),
                     at::full({n_images, height, stride}, std::numeric_limits<float>::infinity(),
                              pos.options().dtype(at::kFloat))};
  const PixelGrid grid{static_cast<int32_t>(width), static_cast<int32_t>(height)};
  with_float_type(pos, "rasterize", [&](auto zero) {
    using T = decltype(zero);
    for (int64_t b = 0; b < n_images; ++b) {
      const auto [first, count] = triangle_range(tri, ranges, b);
      const T* const vertices = pos.data_ptr<T>() + b * image_step;
      const int64_t offset = b * height * stride;
#ifdef T3D_HAS_CUDA
      if (ops::runs_on_cuda(pos)) {
        const at::Tensor keys = at::empty({height * width}, tri.options().dtype(at::kLong));
        const at::Tensor large = at::empty({count + 1}, tri.options());
        cuda::draw_image<T>(grid, vertices, tri.data_ptr<int32_t>(), first, count,
                            front != nullptr ? front->z.data_ptr<float>() + offset : nullptr,
                            front != nullptr ? front->triangle.data_ptr<int32_t>() + offset : nullptr,
                            keys.data_ptr<int64_t>(), large.data_ptr<int32_t>(),
                            layer.z.data_ptr<float>() + offset, layer.triangle.data_ptr<int32_t>() + offset,
                            ops::current_stream());
        continue;
      }
#endif
      const cpu::DepthImage image{layer.z.data_ptr<float>() + offset,
                                  layer.triangle.data_ptr<int32_t>() + offset, stride};
      cpu::DepthImage before{};
      if (front != nullptr)
        before = {front->z.data_ptr<float>() + offset, front->triangle.data_ptr<int32_t>() + offset, stride};
      cpu::draw_image<T>(grid, vertices, n_vertices, tri.data_ptr<int32_t>(), first, count, image,
                         front != nullptr ? &before : nullptr);
    }
  });
  return layer;
}

}  // namespace t3d::raster
