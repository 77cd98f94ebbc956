#include "t3d/ops/mlp.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "t3d/core/error.h"
#include "t3d/core/rng.h"
#include "t3d/ops/activation.h"

namespace t3d::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

void keep(AutogradContext* ctx, const MlpConfig& c) {
  ctx->saved_data["config"] = std::vector<int64_t>{c.n_in,
                                                   c.n_out,
                                                   c.n_neurons,
                                                   c.n_hidden_layers,
                                                   static_cast<int64_t>(c.output_activation),
                                                   static_cast<int64_t>(c.precision)};
}

MlpConfig kept_config(AutogradContext* ctx) {
  const std::vector<int64_t> k = ctx->saved_data["config"].toIntVector();
  return {static_cast<int>(k[0]), static_cast<int>(k[1]),        static_cast<int>(k[2]),
          static_cast<int>(k[3]), static_cast<Activation>(k[4]), static_cast<Precision>(k[5])};
}

/// The float kernels. When the backward pass is itself to be differentiated, it is rebuilt from plain
/// products.
struct MlpFunction : torch::autograd::Function<MlpFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& params,
                            const MlpConfig& config, bool will_differentiate) {
    const int64_t n = x.size(0);
    at::Tensor y = at::empty({n, config.n_out}, x.options());  // [N,n_out]
    at::Tensor hidden = at::empty({will_differentiate ? cpu::mlp_hidden_size(config, n) : 0}, x.options());
    cpu::mlp_forward(config, params.data_ptr<float>(), rows<const float>(x.data_ptr<float>(), config.n_in), n,
                     rows(y.data_ptr<float>(), config.n_out),
                     will_differentiate ? hidden.data_ptr<float>() : nullptr);
    keep(ctx, config);
    ctx->save_for_backward({x, params, y});
    ctx->saved_data["hidden"] = hidden;
    return y;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &params = saved[1], &y = saved[2];
    const MlpConfig config = kept_config(ctx);
    const bool need_dx = ctx->needs_input_grad(0), need_dparams = ctx->needs_input_grad(1);
    if (at::GradMode::is_enabled()) return differentiable_backward(ctx, x, params, config, grads[0]);
    const at::Tensor dy = grads[0].contiguous(), hidden = ctx->saved_data["hidden"].toTensor();
    const float* kept = hidden.numel() == 0 ? nullptr : hidden.data_ptr<float>();
    at::Tensor dx = need_dx ? at::empty_like(x) : at::Tensor();
    at::Tensor dparams = need_dparams ? at::zeros_like(params) : at::Tensor();
    cpu::mlp_backward(config, params.data_ptr<float>(), rows<const float>(x.data_ptr<float>(), config.n_in),
                      x.size(0), rows<const float>(y.data_ptr<float>(), config.n_out), kept,
                      rows<const float>(dy.data_ptr<float>(), config.n_out),
                      rows(need_dx ? dx.data_ptr<float>() : nullptr, config.n_in),
                      need_dparams ? dparams.data_ptr<float>() : nullptr);
    return {dx, dparams, {}, {}};
  }

  static variable_list differentiable_backward(AutogradContext* ctx, const at::Tensor& x,
                                               const at::Tensor& params, const MlpConfig& config,
                                               const at::Tensor& dy) {
    const std::vector<MlpLayer> layers = mlp_layers(config);
    std::vector<at::Tensor> weights, inputs = {x};
    for (const MlpLayer& l : layers)
      weights.push_back(params.narrow(0, l.first, int64_t{l.n_out} * l.n_in).view({l.n_out, l.n_in}));
    for (size_t l = 0; l + 1 < layers.size(); ++l)
      inputs.push_back(at::relu(at::matmul(inputs[l], weights[l].t())));
    at::Tensor gradient = slope(at::matmul(inputs.back(), weights.back().t()), config.output_activation, dy);
    std::vector<at::Tensor> parts(layers.size());
    at::Tensor dx;
    for (int l = static_cast<int>(layers.size()) - 1; l >= 0; --l) {
      if (ctx->needs_input_grad(1)) parts[l] = at::matmul(gradient.t(), inputs[l]).reshape({-1});
      if (l == 0 && !ctx->needs_input_grad(0)) break;
      gradient = at::matmul(gradient, weights[l]);
      if (l > 0) gradient = gradient * inputs[l].gt(0).to(gradient.scalar_type());
      if (l == 0) dx = gradient;
    }
    return {dx, ctx->needs_input_grad(1) ? at::cat(parts) : at::Tensor(), {}, {}};
  }

  /// dy times the output activation's derivative at z.
  static at::Tensor slope(const at::Tensor& z, Activation activation, const at::Tensor& dy) {
    switch (activation) {
      case Activation::Relu:
        return dy * z.gt(0).to(dy.scalar_type());
      case Activation::Sigmoid:
        return dy * at::sigmoid(z) * (1 - at::sigmoid(z));
      case Activation::TruncExp:
        return dy * at::exp(at::clamp(z, -15, 15));
      case Activation::Softplus:
        return dy * at::sigmoid(z);
      default:
        return dy;
    }
  }
};

void check(const at::Tensor& x, const at::Tensor& params, const MlpConfig& config) {
  T3D_CHECK(x.dim() == 2 && x.size(1) == config.n_in, "x is ", x.sizes(), ", expected [N,", config.n_in, "]");
  T3D_CHECK(params.dim() == 1 && params.size(0) == mlp_n_params(config), "params are ", params.sizes(),
            ", expected [", mlp_n_params(config), "]");
}

at::Tensor init(const MlpConfig& config, uint64_t seed, bool xavier) {
  at::Tensor params = at::empty({mlp_n_params(config)}, at::kFloat);
  float* p = params.data_ptr<float>();
  Rng rng(seed, 0x6d6c70);  // a stream of its own
  for (const MlpLayer& l : mlp_layers(config)) {
    const float bound =
        static_cast<float>(xavier ? std::sqrt(6.0 / (l.n_in + l.n_out)) : 1 / std::sqrt(l.n_in));
    for (int64_t i = 0; i < int64_t{l.n_in} * l.n_out; ++i) p[l.first + i] = rng.uniform(-bound, bound);
  }
  return params;
}

}  // namespace

at::Tensor mlp(const at::Tensor& x, const at::Tensor& params, const MlpConfig& config) {
  check(x, params, config);
  if (!x.device().is_cpu() || x.scalar_type() != at::kFloat || params.scalar_type() != at::kFloat)
    return mlp_reference(x, params, config);
  const bool will_differentiate = at::GradMode::is_enabled() && (x.requires_grad() || params.requires_grad());
  return MlpFunction::apply(x.contiguous(), params.contiguous(), config, will_differentiate);
}

at::Tensor mlp_reference(const at::Tensor& x, const at::Tensor& params, const MlpConfig& config) {
  check(x, params, config);
  at::Tensor h = x;  // [N,n_in]
  const std::vector<MlpLayer> layers = mlp_layers(config);
  for (size_t l = 0; l < layers.size(); ++l) {
    const int64_t size = int64_t{layers[l].n_out} * layers[l].n_in;
    h = at::matmul(h, params.narrow(0, layers[l].first, size).view({layers[l].n_out, layers[l].n_in}).t());
    if (l + 1 < layers.size()) h = at::relu(h);
  }
  return activate(h, config.output_activation);  // [N,n_out]
}

at::Tensor mlp_init_uniform(const MlpConfig& config, uint64_t seed) {
  return init(config, seed, false);
}
at::Tensor mlp_init_xavier(const MlpConfig& config, uint64_t seed) {
  return init(config, seed, true);
}

}  // namespace t3d::ops
