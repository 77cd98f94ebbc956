#include "t3d/raster/barycentrics.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "t3d/ops/device.h"
#include "t3d/raster/absent_tensor.h"
#include "t3d/raster/arguments.h"
#include "t3d/raster/barycentrics_cpu.h"
#include "t3d/raster/mesh_under.h"

#ifdef T3D_HAS_CUDA
#include "t3d/raster/barycentrics_cuda.h"
#endif

namespace t3d::raster {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct BarycentricsOfPixels : public torch::autograd::Function<BarycentricsOfPixels> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& pos, const at::Tensor& tri,
                               const at::Tensor& triangle, bool derivatives) {
    ctx->set_materialize_grads(false);
    ctx->save_for_backward({pos, tri, triangle});
    const PixelGrid grid = grid_of(triangle);
    const int64_t n_images = triangle.size(0);
    at::Tensor rast = at::empty({n_images, grid.height, grid.width, 4}, pos.options());
    at::Tensor rast_db = derivatives ? at::empty_like(rast) : at::Tensor();
    with_float_type(pos, "rasterize", [&](auto zero) {
      using T = decltype(zero);
      T* const db = derivatives ? rast_db.data_ptr<T>() : nullptr;
#ifdef T3D_HAS_CUDA
      if (ops::runs_on_cuda(pos))
        return cuda::barycentrics_forward<T>(grid, n_images, mesh_under(pos, tri), pos.data_ptr<T>(),
                                             triangle.data_ptr<int32_t>(), triangle.stride(1),
                                             rast.data_ptr<T>(), db, ops::current_stream());
#endif
      cpu::barycentrics_forward<T>(grid, n_images, mesh_under(pos, tri), pos.data_ptr<T>(),
                                   triangle.data_ptr<int32_t>(), triangle.stride(1), rast.data_ptr<T>(), db);
    });
    return derivatives ? variable_list{rast, rast_db} : variable_list{rast};
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &pos = saved[0], &tri = saved[1], &triangle = saved[2];
    at::Tensor d_pos = at::zeros_like(pos);
    const at::Tensor d_rast = gradients[0].defined() ? gradients[0].contiguous() : at::Tensor();
    const at::Tensor d_db =
        gradients.size() > 1 && gradients[1].defined() ? gradients[1].contiguous() : at::Tensor();
    if (d_rast.defined() || d_db.defined())
      with_float_type(pos, "rasterize", [&](auto zero) {
        using T = decltype(zero);
#ifdef T3D_HAS_CUDA
        if (ops::runs_on_cuda(pos))
          return cuda::barycentrics_backward<T>(
              grid_of(triangle), triangle.size(0), mesh_under(pos, tri), pos.data_ptr<T>(),
              triangle.data_ptr<int32_t>(), triangle.stride(1), data_or_null<T>(d_rast),
              data_or_null<T>(d_db), d_pos.data_ptr<T>(), ops::current_stream());
#endif
        cpu::barycentrics_backward<T>(grid_of(triangle), triangle.size(0), mesh_under(pos, tri),
                                      pos.data_ptr<T>(), triangle.data_ptr<int32_t>(), triangle.stride(1),
                                      data_or_null<T>(d_rast), data_or_null<T>(d_db), d_pos.data_ptr<T>());
      });
    return {d_pos, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

Rasterized barycentrics(const at::Tensor& pos_in, const at::Tensor& tri_in, const at::Tensor& triangle_in,
                        bool derivatives) {
  const at::Tensor pos = pos_in.contiguous(), tri = tri_in.contiguous();
  check_mesh("rasterize", pos, tri);
  T3D_CHECK(
      triangle_in.dim() == 3 && triangle_in.scalar_type() == at::kInt && triangle_in.device() == pos.device(),
      "rasterize: triangle must be [B,H,W] int32 on pos's device, not ", triangle_in.sizes());
  T3D_CHECK(pos.dim() == 2 || pos.size(0) == triangle_in.size(0), "rasterize: pos ", pos.sizes(),
            " and triangle ", triangle_in.sizes(), " have different numbers of images");
  check_image_size("rasterize", triangle_in.size(1), triangle_in.size(2));
  const bool is_rows =
      triangle_in.stride(2) == 1 &&
      (triangle_in.size(0) == 1 || triangle_in.stride(0) == triangle_in.size(1) * triangle_in.stride(1));
  const at::Tensor triangle = is_rows ? triangle_in : triangle_in.contiguous();
  const auto out = BarycentricsOfPixels::apply(pos, tri, triangle, derivatives);
  return {out[0], derivatives ? out[1] : at::Tensor()};
}

}  // namespace t3d::raster
