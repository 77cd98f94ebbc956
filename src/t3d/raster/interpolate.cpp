#include "t3d/raster/interpolate.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <numeric>

#include "t3d/ops/device.h"
#include "t3d/raster/absent_tensor.h"
#include "t3d/raster/arguments.h"
#include "t3d/raster/interpolate_cpu.h"
#include "t3d/raster/mesh_under.h"

#ifdef T3D_HAS_CUDA
#include "t3d/raster/interpolate_cuda.h"
#endif

namespace t3d::raster {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// rast_db without elements: no derivatives. diff [D] int64 on the device.
template <class T>
InterpolationInput<T> input_of(const at::Tensor& attr, const at::Tensor& rast, const at::Tensor& rast_db,
                               const at::Tensor& diff) {
  return {
      attr.data_ptr<T>(),       rast.data_ptr<T>(), rast_db.numel() != 0 ? rast_db.data_ptr<T>() : nullptr,
      diff.data_ptr<int64_t>(), attr.size(-1),      diff.size(0)};
}

struct InterpolateVertices : public torch::autograd::Function<InterpolateVertices> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& attr, const at::Tensor& rast,
                               const at::Tensor& tri, const at::Tensor& rast_db, const at::Tensor& diff) {
    ctx->set_materialize_grads(false);
    ctx->save_for_backward({attr, rast, tri, rast_db, diff});
    ctx->saved_data["attr"] = attr.requires_grad();
    ctx->saved_data["rast"] = rast.requires_grad();
    const PixelGrid grid = grid_of(rast);
    const int64_t n_images = rast.size(0);
    const bool derivatives = diff.size(0) != 0;
    at::Tensor out = at::empty({n_images, grid.height, grid.width, attr.size(-1)}, attr.options());
    at::Tensor out_da;
    if (derivatives)
      out_da = at::empty({n_images, grid.height, grid.width, 2 * diff.size(0)}, attr.options());
    with_float_type(attr, "interpolate", [&](auto zero) {
      using T = decltype(zero);
      const auto in = input_of<T>(attr, rast, rast_db, diff);
#ifdef T3D_HAS_CUDA
      if (ops::runs_on_cuda(attr))
        return cuda::interpolate_forward<T>(grid, n_images, mesh_under(attr, tri), in, out.data_ptr<T>(),
                                            data_or_null<T>(out_da), ops::current_stream());
#endif
      cpu::interpolate_forward<T>(grid, n_images, mesh_under(attr, tri), in, out.data_ptr<T>(),
                                  data_or_null<T>(out_da));
    });
    return derivatives ? variable_list{out, out_da} : variable_list{out};
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &attr = saved[0], &rast = saved[1], &tri = saved[2], &rast_db = saved[3],
                     &diff = saved[4];
    const at::Tensor d_out = contiguous_or_none(gradients[0]);
    const at::Tensor d_out_da = gradients.size() > 1 ? contiguous_or_none(gradients[1]) : at::Tensor();
    at::Tensor d_attr, d_rast, d_db;
    if (ctx->saved_data["attr"].toBool()) d_attr = at::zeros_like(attr);
    if (ctx->saved_data["rast"].toBool()) d_rast = at::zeros_like(rast);
    if (d_out_da.defined()) d_db = at::zeros_like(rast_db);
    with_float_type(attr, "interpolate", [&](auto zero) {
      using T = decltype(zero);
      const auto in = input_of<T>(attr, rast, rast_db, diff);
      const InterpolationGradients<T> to{data_or_null<T>(d_attr), data_or_null<T>(d_rast),
                                         data_or_null<T>(d_db)};
#ifdef T3D_HAS_CUDA
      if (ops::runs_on_cuda(attr))
        return cuda::interpolate_backward<T>(grid_of(rast), rast.size(0), mesh_under(attr, tri), in,
                                             data_or_null<T>(d_out), data_or_null<T>(d_out_da), to,
                                             ops::current_stream());
#endif
      cpu::interpolate_backward<T>(grid_of(rast), rast.size(0), mesh_under(attr, tri), in,
                                   data_or_null<T>(d_out), data_or_null<T>(d_out_da), to);
    });
    return {d_attr, d_rast, at::Tensor(), d_db, at::Tensor()};
  }
};

variable_list interpolate_checked(const at::Tensor& attr, const at::Tensor& rast, const at::Tensor& tri_in,
                                  const at::Tensor& rast_db, const std::vector<int64_t>& diff_attrs) {
  const at::Tensor tri = tri_in.contiguous();
  T3D_CHECK((attr.dim() == 3 || attr.dim() == 2) && attr.size(-1) > 0,
            "interpolate: attr must be [B,V,A] or [V,A], not ", attr.sizes());
  check_rast("interpolate", rast, attr);
  check_triangles("interpolate", tri, attr, attr.size(-2));
  T3D_CHECK(attr.dim() == 2 || attr.size(0) == 1 || attr.size(0) == rast.size(0), "interpolate: attr ",
            attr.sizes(), " and rast ", rast.sizes(), " have different numbers of images");
  for (const int64_t n : diff_attrs)
    T3D_CHECK(n >= 0 && n < attr.size(-1), "interpolate: diff_attrs names attribute ", n, " of ",
              attr.size(-1));
  const at::Tensor diff = at::tensor(diff_attrs, at::kLong).to(attr.device());
  return InterpolateVertices::apply(attr.contiguous(), rast.contiguous(), tri, rast_db.contiguous(), diff);
}

}  // namespace

at::Tensor interpolate(const at::Tensor& attr, const at::Tensor& rast, const at::Tensor& tri) {
  return interpolate_checked(attr, rast, tri, at::empty({0}, attr.options()), {})[0];
}

Interpolated interpolate_with_derivatives(const at::Tensor& attr, const at::Tensor& rast,
                                          const at::Tensor& tri, const at::Tensor& rast_db,
                                          const std::vector<int64_t>& diff_attrs) {
  T3D_CHECK(rast_db.sizes() == rast.sizes() && rast_db.scalar_type() == rast.scalar_type(),
            "interpolate: rast_db must be like rast ", rast.sizes(), ", not ", rast_db.sizes());
  std::vector<int64_t> attrs = diff_attrs;
  if (attrs.empty()) {
    attrs.resize(static_cast<size_t>(attr.size(-1)));
    std::iota(attrs.begin(), attrs.end(), 0);
  }
  const auto out = interpolate_checked(attr, rast, tri, rast_db, attrs);
  return {out[0], out[1]};
}

}  // namespace t3d::raster
