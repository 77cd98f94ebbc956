#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "t3d/core/error.h"
#include "t3d/ops/composite.h"
#include "t3d/ops/composite_recurrence.h"
#include "t3d/ops/device.h"

#ifdef T3D_HAS_CUDA
#include "t3d/ops/composite_cuda.h"
#endif

namespace t3d::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

#ifdef T3D_HAS_CUDA
/// Calls body(T{}) with T float or double.
template <class Body>
void launch(const at::Tensor& t, const Body& body) {
  if (t.scalar_type() == at::kFloat) return body(float{});
  body(double{});
}
#endif

struct Distortion : public torch::autograd::Function<Distortion> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& weights_in, const at::Tensor& t_in,
                            const at::Tensor& dt_in, const at::Tensor& ray_start) {
    const at::Tensor w = weights_in.contiguous(), t = t_in.contiguous(), dt = dt_in.contiguous();  // [S]
    const int64_t n_rays = ray_start.size(0) - 1;
    at::Tensor loss = at::zeros({n_rays}, w.options());  // [R]
    ctx->save_for_backward({w, t, dt, ray_start});
    const int32_t* start = ray_start.data_ptr<int32_t>();
#ifdef T3D_HAS_CUDA
    if (runs_on_cuda(w)) {
      launch(w, [&](auto zero) {
        using T = decltype(zero);
        cuda::ray_distortion<T>(start, n_rays, w.data_ptr<T>(), t.data_ptr<T>(), dt.data_ptr<T>(),
                                loss.data_ptr<T>(), current_stream());
      });
      return loss;
    }
#endif
    if (w.scalar_type() == at::kFloat)
      cpu::distortion_forward(start, n_rays, w.data_ptr<float>(), t.data_ptr<float>(), dt.data_ptr<float>(),
                              loss.data_ptr<float>());
    else
      for (int64_t r = 0; r < n_rays; ++r)
        if (const int64_t s = start[r], n = start[r + 1] - s; n > 0)
          loss.data_ptr<double>()[r] = recurrence::distortion(
              w.data_ptr<double>() + s, t.data_ptr<double>() + s, dt.data_ptr<double>() + s, n);
    return loss;
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &w = saved[0], &t = saved[1], &dt = saved[2], d_loss = gradients[0].contiguous();
    const int32_t* start = saved[3].data_ptr<int32_t>();
    const int64_t n_rays = saved[3].size(0) - 1;
    at::Tensor d_w = at::zeros_like(w);  // [S]
#ifdef T3D_HAS_CUDA
    if (runs_on_cuda(w)) {
      launch(w, [&](auto zero) {
        using T = decltype(zero);
        cuda::ray_distortion_adjoint<T>(start, n_rays, w.data_ptr<T>(), t.data_ptr<T>(), dt.data_ptr<T>(),
                                        d_loss.data_ptr<T>(), d_w.data_ptr<T>(), current_stream());
      });
      return {d_w, at::Tensor(), at::Tensor(), at::Tensor()};
    }
#endif
    if (w.scalar_type() == at::kFloat)
      cpu::distortion_backward(start, n_rays, w.data_ptr<float>(), t.data_ptr<float>(), dt.data_ptr<float>(),
                               d_loss.data_ptr<float>(), d_w.data_ptr<float>());
    else
      for (int64_t r = 0; r < n_rays; ++r)
        if (const int64_t s = start[r], n = start[r + 1] - s; n > 0)
          recurrence::distortion_adjoint(w.data_ptr<double>() + s, t.data_ptr<double>() + s,
                                         dt.data_ptr<double>() + s, n, d_loss.data_ptr<double>()[r],
                                         d_w.data_ptr<double>() + s);
    return {d_w, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor distortion_loss(const at::Tensor& weights, const at::Tensor& t, const at::Tensor& dt,
                           const at::Tensor& ray_start) {
  T3D_CHECK(weights.dim() == 1 && weights.sizes() == t.sizes() && t.sizes() == dt.sizes(), "weights ",
            weights.sizes(), ", t ", t.sizes(), " and dt ", dt.sizes(), " must all be [S]");
  return Distortion::apply(weights, t, dt, ray_start.contiguous());
}

at::Tensor distortion_loss_reference(const at::Tensor& weights, const at::Tensor& t, const at::Tensor& dt,
                                     const at::Tensor& ray_start) {
  std::vector<at::Tensor> losses;
  for (int64_t r = 0; r + 1 < ray_start.size(0); ++r) {
    const int64_t s = ray_start[r].item<int32_t>(), e = ray_start[r + 1].item<int32_t>();
    const at::Tensor w = weights.slice(0, s, e), x = t.slice(0, s, e);           // [n]
    const at::Tensor apart = (x.unsqueeze(0) - x.unsqueeze(1)).abs();            // [n,n]
    const at::Tensor between = (w.unsqueeze(0) * w.unsqueeze(1) * apart).sum();  // []
    losses.push_back(between + (w.square() * dt.slice(0, s, e)).sum() / 3);
  }
  return at::stack(losses);  // [R]
}

}  // namespace t3d::ops
