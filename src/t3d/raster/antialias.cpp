#include "t3d/raster/antialias.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <memory>

#include "t3d/ops/device.h"
#include "t3d/raster/antialias_cpu.h"
#include "t3d/raster/arguments.h"
#include "t3d/raster/mesh_under.h"

#ifdef T3D_HAS_CUDA
#include "t3d/raster/antialias_cuda.h"
#endif

namespace t3d::raster {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// What both passes of a call share: the blends that the forward pass found, on the CPU.
struct KeptBlends : torch::CustomClassHolder {
  cpu::Blends blends;
};

struct BlendSilhouettes : public torch::autograd::Function<BlendSilhouettes> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& color, const at::Tensor& rast,
                               const at::Tensor& pos, const at::Tensor& tri, const at::Tensor& opposite,
                               double boost) {
    const PixelGrid grid = grid_of(rast);
    at::Tensor out = color.clone();
    auto kept = c10::make_intrusive<KeptBlends>();
    with_float_type(color, "antialias", [&](auto zero) {
      using T = decltype(zero);
      const MeshView mesh = mesh_under(pos, tri);
#ifdef T3D_HAS_CUDA
      if (ops::runs_on_cuda(color))
        return cuda::antialias_forward<T>(grid, rast.size(0), mesh, opposite.data_ptr<int32_t>(),
                                          pos.data_ptr<T>(), rast.data_ptr<T>(), color.size(3),
                                          color.data_ptr<T>(), out.data_ptr<T>(), ops::current_stream());
#endif
      kept->blends = cpu::find_blends<T>(grid, rast.size(0), mesh, opposite.data_ptr<int32_t>(),
                                         pos.data_ptr<T>(), rast.data_ptr<T>());
      cpu::blend<T>(grid, rast.size(0), kept->blends, color.size(3), color.data_ptr<T>(), out.data_ptr<T>());
    });
    ctx->save_for_backward({color, rast, pos, tri, opposite});
    ctx->saved_data["blends"] = c10::IValue::make_capsule(std::move(kept));
    ctx->saved_data["boost"] = boost;
    ctx->saved_data["color"] = color.requires_grad();
    ctx->saved_data["pos"] = pos.requires_grad();
    return {out};
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &color = saved[0], &rast = saved[1], &pos = saved[2], &tri = saved[3];
    const PixelGrid grid = grid_of(rast);
    const double boost = ctx->saved_data["boost"].toDouble();
    const at::Tensor d_out = gradients[0].contiguous();
    at::Tensor d_color, d_pos;
    if (ctx->saved_data["color"].toBool()) d_color = d_out.clone();
    if (ctx->saved_data["pos"].toBool()) d_pos = at::zeros_like(pos);
    with_float_type(color, "antialias", [&](auto zero) {
      using T = decltype(zero);
      const MeshView mesh = mesh_under(pos, tri);
#ifdef T3D_HAS_CUDA
      if (ops::runs_on_cuda(color))
        return cuda::antialias_backward<T>(
            grid, rast.size(0), mesh, saved[4].data_ptr<int32_t>(), pos.data_ptr<T>(), rast.data_ptr<T>(),
            color.size(3), color.data_ptr<T>(), d_out.data_ptr<T>(), boost,
            d_color.defined() ? d_color.data_ptr<T>() : nullptr,
            d_pos.defined() ? d_pos.data_ptr<T>() : nullptr, ops::current_stream());
#endif
      const auto kept = ctx->saved_data["blends"].toCapsule();
      const cpu::Blends& blends = static_cast<const KeptBlends&>(*kept).blends;
      if (d_color.defined())
        cpu::blend_backward<T>(grid, rast.size(0), blends, color.size(3), d_out.data_ptr<T>(),
                               d_color.data_ptr<T>());
      if (d_pos.defined())
        cpu::blend_backward_pos<T>(grid, rast.size(0), mesh, blends, color.size(3), pos.data_ptr<T>(),
                                   rast.data_ptr<T>(), color.data_ptr<T>(), d_out.data_ptr<T>(), boost,
                                   d_pos.data_ptr<T>());
    });
    return {d_color, at::Tensor(), d_pos, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor antialias(const at::Tensor& color, const at::Tensor& rast, const at::Tensor& pos_in,
                     const at::Tensor& tri_in, const EdgeTopology* topology, double pos_gradient_boost) {
  const at::Tensor tri = tri_in.contiguous(), pos = pos_in.contiguous();
  check_mesh("antialias", pos, tri);
  check_rast("antialias", rast, pos);
  T3D_CHECK(pos.dim() == 2 || pos.size(0) == rast.size(0), "antialias: pos ", pos.sizes(), " and rast ",
            rast.sizes(), " have different numbers of images");
  T3D_CHECK(color.dim() == 4 && color.sizes().slice(0, 3) == rast.sizes().slice(0, 3) &&
                color.scalar_type() == rast.scalar_type() && color.device() == rast.device(),
            "antialias: color must be [B,H,W,C] like rast ", rast.sizes(), ", not ", color.sizes(), " ",
            color.scalar_type());
  const at::Tensor opposite = topology != nullptr ? topology->opposite : EdgeTopology::of(tri).opposite;
  T3D_CHECK(opposite.sizes() == tri.sizes() && opposite.device() == tri.device(),
            "antialias: the topology is of ", opposite.size(0), " triangles, tri has ", tri.size(0));
  return BlendSilhouettes::apply(color.contiguous(), rast.detach().contiguous(), pos, tri, opposite,
                                 pos_gradient_boost)[0];
}

}  // namespace t3d::raster
