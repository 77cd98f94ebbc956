#include "t3d/ops/hash_grid.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <algorithm>

#include "t3d/core/error.h"
#include "t3d/core/rng.h"
#include "t3d/ops/device.h"
#include "t3d/ops/hash_grid_reference.h"

#ifdef T3D_HAS_CUDA
#include "t3d/ops/hash_grid_float_cuda.h"
#endif

namespace t3d::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

/// The layout as something that an autograd node can keep.
struct LayoutHolder : torch::CustomClassHolder {
  explicit LayoutHolder(const HashGridLayout& value) : layout(value) {}
  HashGridLayout layout;
};

void keep(AutogradContext* ctx, const HashGridLayout& layout, int64_t n_active) {
  ctx->saved_data["layout"] = c10::IValue::make_capsule(
      c10::intrusive_ptr<torch::CustomClassHolder>(c10::make_intrusive<LayoutHolder>(layout)));
  ctx->saved_data["n_active"] = n_active;
}

const HashGridLayout& kept_layout(AutogradContext* ctx) {
  return static_cast<LayoutHolder*>(ctx->saved_data["layout"].toCapsule().get())->layout;
}

int kept_active(AutogradContext* ctx) {
  return static_cast<int>(ctx->saved_data["n_active"].toInt());
}

bool is_fast(const at::Tensor& t) {
  return t.scalar_type() == at::kFloat;
}

#ifdef T3D_HAS_CUDA
/// Calls body(T{}) with T float or double.
template <class Body>
void with_type(const at::Tensor& t, const Body& body) {
  if (is_fast(t)) return body(float{});
  body(double{});
}
template <class T>
T* pointer_or_null(const at::Tensor& t) {
  return t.defined() ? t.data_ptr<T>() : nullptr;
}
#endif

// The four maps on plain tensors. All arguments contiguous, on one device, of one type.

at::Tensor encode(const HashGridLayout& layout, int n_active, const at::Tensor& x, const at::Tensor& params) {
  const int64_t n = x.size(0);
  at::Tensor y = at::empty({n, layout.n_outputs()}, x.options());  // [N,L*F]
#ifdef T3D_HAS_CUDA
  if (runs_on_cuda(x)) {
    with_type(x, [&](auto zero) {
      using T = decltype(zero);
      cuda::grid_forward<T>(layout, params.data_ptr<T>(), x.data_ptr<T>(), n, y.data_ptr<T>(), n_active,
                            current_stream());
    });
    return y;
  }
#endif
  if (is_fast(x)) {
    cpu::hash_grid_forward(layout, params.data_ptr<float>(), x.data_ptr<float>(), layout.config.n_dims, n,
                           rows(y.data_ptr<float>(), layout.n_outputs()), n_active);
  } else {
    reference::hash_grid_forward(layout, params.data_ptr<double>(), x.data_ptr<double>(), n,
                                 y.data_ptr<double>(), n_active);
  }
  return y;
}

at::Tensor gradient_of_params(const HashGridLayout& layout, int n_active, const at::Tensor& x,
                              const at::Tensor& dy) {
  at::Tensor dparams = at::zeros({layout.n_params()}, x.options());  // [P]
#ifdef T3D_HAS_CUDA
  if (runs_on_cuda(x)) {
    with_type(x, [&](auto zero) {
      using T = decltype(zero);
      cuda::grid_backward_params<T>(layout, x.data_ptr<T>(), x.size(0), dy.data_ptr<T>(),
                                    dparams.data_ptr<T>(), n_active, current_stream());
    });
    return dparams;
  }
#endif
  if (is_fast(x)) {
    cpu::hash_grid_backward_params(layout, x.data_ptr<float>(), layout.config.n_dims, x.size(0),
                                   rows<const float>(dy.data_ptr<float>(), layout.n_outputs()),
                                   dparams.data_ptr<float>(), n_active);
  } else {
    reference::hash_grid_backward_params(layout, x.data_ptr<double>(), x.size(0), dy.data_ptr<double>(),
                                         dparams.data_ptr<double>(), n_active);
  }
  return dparams;
}

at::Tensor gradient_of_input(const HashGridLayout& layout, int n_active, const at::Tensor& x,
                             const at::Tensor& params, const at::Tensor& dy) {
  const int64_t n_dims = layout.config.n_dims;
  at::Tensor dx = at::empty_like(x);  // [N,D]
#ifdef T3D_HAS_CUDA
  if (runs_on_cuda(x)) {
    with_type(x, [&](auto zero) {
      using T = decltype(zero);
      cuda::grid_backward_input<T>(layout, params.data_ptr<T>(), x.data_ptr<T>(), x.size(0), dy.data_ptr<T>(),
                                   dx.data_ptr<T>(), n_active, current_stream());
    });
    return dx;
  }
#endif
  if (is_fast(x)) {
    cpu::hash_grid_backward_input(layout, params.data_ptr<float>(), x.data_ptr<float>(), n_dims, x.size(0),
                                  rows<const float>(dy.data_ptr<float>(), layout.n_outputs()),
                                  dx.data_ptr<float>(), n_dims, n_active);
  } else {
    reference::hash_grid_backward_input(layout, params.data_ptr<double>(), x.data_ptr<double>(), x.size(0),
                                        dy.data_ptr<double>(), dx.data_ptr<double>(), n_active);
  }
  return dx;
}

/// Adds to each of ddy, dparams and dx2 that is defined.
void gradient_of_gradient(const HashGridLayout& layout, int n_active, const at::Tensor& x,
                          const at::Tensor& params, const at::Tensor& dy, const at::Tensor& v,
                          const at::Tensor& ddy, const at::Tensor& dparams, const at::Tensor& dx2) {
  const int64_t n_dims = layout.config.n_dims;
#ifdef T3D_HAS_CUDA
  if (runs_on_cuda(x)) {
    with_type(x, [&](auto zero) {
      using T = decltype(zero);
      cuda::grid_backward_backward_input<T>(layout, params.data_ptr<T>(), x.data_ptr<T>(), x.size(0),
                                            dy.data_ptr<T>(), v.data_ptr<T>(), pointer_or_null<T>(ddy),
                                            pointer_or_null<T>(dparams), pointer_or_null<T>(dx2), n_active,
                                            current_stream());
    });
    return;
  }
#endif
  if (is_fast(x)) {
    const auto pointer = [](const at::Tensor& t) { return t.defined() ? t.data_ptr<float>() : nullptr; };
    cpu::hash_grid_backward_backward_input(
        layout, params.data_ptr<float>(), x.data_ptr<float>(), n_dims, x.size(0),
        rows<const float>(dy.data_ptr<float>(), layout.n_outputs()), v.data_ptr<float>(), n_dims,
        rows(pointer(ddy), layout.n_outputs()), pointer(dparams), pointer(dx2), n_dims, n_active);
  } else {
    const auto pointer = [](const at::Tensor& t) { return t.defined() ? t.data_ptr<double>() : nullptr; };
    reference::hash_grid_backward_backward_input(layout, params.data_ptr<double>(), x.data_ptr<double>(),
                                                 x.size(0), dy.data_ptr<double>(), v.data_ptr<double>(),
                                                 pointer(ddy), pointer(dparams), pointer(dx2), n_active);
  }
}

/// (dy, x, params) -> dx, itself differentiable: what makes the encoding twice differentiable in x.
struct InputGradient : Function<InputGradient> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& dy, const at::Tensor& x,
                            const at::Tensor& params, const HashGridLayout& layout, int64_t n_active) {
    keep(ctx, layout, n_active);
    ctx->save_for_backward({dy, x, params});
    return gradient_of_input(layout, static_cast<int>(n_active), x, params, dy);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &dy = saved[0], &x = saved[1], &params = saved[2];
    at::Tensor ddy, dx2, dparams;
    if (ctx->needs_input_grad(0)) ddy = at::empty_like(dy);
    if (ctx->needs_input_grad(1)) dx2 = at::empty_like(x);
    if (ctx->needs_input_grad(2)) dparams = at::zeros_like(params);
    gradient_of_gradient(kept_layout(ctx), kept_active(ctx), x, params, dy, grads[0].contiguous(), ddy,
                         dparams, dx2);
    return {ddy, dx2, dparams, {}, {}};
  }
};

/// (dy, x) -> dparams; linear in dy, so its own gradients are an encoding and an InputGradient.
struct ParamsGradient : Function<ParamsGradient> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& dy, const at::Tensor& x,
                            const HashGridLayout& layout, int64_t n_active) {
    keep(ctx, layout, n_active);
    ctx->save_for_backward({dy, x});
    return gradient_of_params(layout, static_cast<int>(n_active), x, dy);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor w = grads[0].contiguous();
    at::Tensor ddy, dx;
    if (ctx->needs_input_grad(0)) ddy = encode(kept_layout(ctx), kept_active(ctx), saved[1], w);
    if (ctx->needs_input_grad(1))
      dx = gradient_of_input(kept_layout(ctx), kept_active(ctx), saved[1], w, saved[0]);
    return {ddy, dx, {}, {}};
  }
};

struct Encode : Function<Encode> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& params,
                            const HashGridLayout& layout, int64_t n_active) {
    keep(ctx, layout, n_active);
    ctx->save_for_backward({x, params});
    return encode(layout, static_cast<int>(n_active), x, params);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const HashGridLayout& layout = kept_layout(ctx);
    const int64_t n_active = kept_active(ctx);
    const at::Tensor dy = grads[0].contiguous();
    at::Tensor dx, dparams;
    if (ctx->needs_input_grad(0)) dx = InputGradient::apply(dy, saved[0], saved[1], layout, n_active);
    if (ctx->needs_input_grad(1)) dparams = ParamsGradient::apply(dy, saved[0], layout, n_active);
    return {dx, dparams, {}, {}};
  }
};

}  // namespace

at::Tensor hash_grid_encode(const at::Tensor& x, const at::Tensor& params, const HashGridLayout& layout,
                            int n_active_levels) {
  T3D_CHECK(x.dim() == 2 && x.size(1) == layout.config.n_dims, "x is ", x.sizes(), ", expected [N,",
            layout.config.n_dims, "]");
  T3D_CHECK(params.dim() == 1 && params.size(0) == layout.n_params(), "params are ", params.sizes(),
            ", expected [", layout.n_params(), "]");
  T3D_CHECK(x.scalar_type() == params.scalar_type() && (is_fast(x) || x.scalar_type() == at::kDouble),
            "x is ", x.scalar_type(), " and params ", params.scalar_type(),
            ", expected both float or both double");
  T3D_CHECK(x.device() == params.device(), "x is on ", x.device().str(), " and params on ",
            params.device().str(), ", expected one device");
  runs_on_cuda(x);  // refuses devices without kernels
  const int n_levels = layout.config.n_levels;
  const int n_active = n_active_levels < 0 ? n_levels : std::min(n_active_levels, n_levels);
  return Encode::apply(x.contiguous(), params.contiguous(), layout, int64_t{n_active});
}

at::Tensor hash_grid_init(const HashGridLayout& layout, uint64_t seed) {
  at::Tensor params = at::empty({layout.n_params()}, at::kFloat);
  float* p = params.data_ptr<float>();
  const int64_t n = layout.n_params();
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < n; i += 4) {
    const Philox draw = Philox::at(seed, static_cast<uint64_t>(i / 4));
    for (int64_t j = i; j < std::min(i + 4, n); ++j)
      p[j] = (draw.uniform(static_cast<int>(j - i)) * 2 - 1) * 1e-4f;
  }
  return params;
}

int ProgressiveBand::levels_at(int64_t step, int n_levels) const {
  const int64_t more = std::max<int64_t>(step - start_step, 0) / std::max(update_steps, 1);
  return static_cast<int>(std::min<int64_t>(start_level + more, n_levels));
}

}  // namespace t3d::ops
