#include "t3d/ops/adam.h"

#include <ATen/ATen.h>

#include <array>
#include <cmath>

#include "t3d/core/error.h"
#include "t3d/ops/device.h"

#ifdef T3D_HAS_CUDA
#include "t3d/ops/adam_cuda.h"
#endif

namespace t3d::ops {
namespace {

/// Parameters, gradients and both moments, in this order.
using Buffers = std::array<at::Tensor, 4>;

/// Whether a kernel takes all four: contiguous floats, which on CUDA begin where two of them load at once.
bool is_fused(const Buffers& buffers) {
  bool all = true;
  for (const at::Tensor& t : buffers) {
    T3D_CHECK(t.sizes() == buffers[0].sizes(), "Adam takes tensors of one shape, found ", t.sizes(), " and ",
              buffers[0].sizes());
    all = all && t.scalar_type() == at::kFloat && t.is_contiguous() && t.device() == buffers[0].device() &&
          (t.is_cpu() || reinterpret_cast<uintptr_t>(t.data_ptr()) % (2 * sizeof(float)) == 0);
  }
  return all;
}

void fused_step(const Buffers& buffers, const AdamFactors& factors, bool clear_gradients) {
  const auto data = [&](size_t i) { return buffers[i].data_ptr<float>(); };
  const int64_t n = buffers[0].numel();
#ifdef T3D_HAS_CUDA
  if (runs_on_cuda(buffers[0])) {
    cuda::AdamExtras extras;
    extras.clear_gradients = clear_gradients;
    return cuda::adam_step(data(0), data(1), data(2), data(3), n, factors, extras, current_stream());
  }
#else
  runs_on_cuda(buffers[0]);
#endif
  cpu::adam_step(data(0), data(1), data(2), data(3), n, factors, clear_gradients);
}

}  // namespace

AdamFactors adam_factors(const AdamConfig& config, double lr, int64_t step, double gradient_scale) {
  AdamFactors k{};
  k.beta1 = static_cast<float>(config.beta1);
  k.one_minus_beta1 = static_cast<float>(1 - config.beta1);
  k.beta2 = static_cast<float>(config.beta2);
  k.one_minus_beta2 = static_cast<float>(1 - config.beta2);
  k.eps = static_cast<float>(config.eps);
  k.l2 = static_cast<float>(config.l2);
  k.keep = static_cast<float>(1 - lr * config.weight_decay);
  k.step_size = static_cast<float>(lr / (1 - std::pow(config.beta1, static_cast<double>(step))));
  k.v_correction = static_cast<float>(1 / (1 - std::pow(config.beta2, static_cast<double>(step))));
  k.gradient_scale = static_cast<float>(gradient_scale);
  k.skip_zero_gradients = config.skip_zero_gradients;
  return k;
}

void adam_step(const at::Tensor& params, const at::Tensor& gradients, const at::Tensor& m,
               const at::Tensor& v, const AdamConfig& config, double lr, int64_t step, double gradient_scale,
               bool clear_gradients) {
  adam_step(std::vector{params}, std::vector{gradients}, std::vector{m}, std::vector{v}, config, lr, step,
            gradient_scale, clear_gradients);
}

void adam_step(const std::vector<at::Tensor>& params, const std::vector<at::Tensor>& gradients,
               const std::vector<at::Tensor>& m, const std::vector<at::Tensor>& v, const AdamConfig& config,
               double lr, int64_t step, double gradient_scale, bool clear_gradients) {
  T3D_CHECK(gradients.size() == params.size() && m.size() == params.size() && v.size() == params.size(),
            "Adam takes lists of one length");
  T3D_CHECK(step >= 1, "Adam's steps count from 1, found ", step);
  const AdamFactors factors = adam_factors(config, lr, step, gradient_scale);
  std::vector<at::Tensor> p, given, first, second;  // those that no kernel takes
  for (size_t i = 0; i < params.size(); ++i) {
    const Buffers buffers{params[i], gradients[i], m[i], v[i]};
    if (is_fused(buffers))
      fused_step(buffers, factors, clear_gradients);
    else
      p.push_back(params[i]), given.push_back(gradients[i]), first.push_back(m[i]), second.push_back(v[i]);
  }
  if (p.empty()) return;
  T3D_CHECK(!config.skip_zero_gradients, "Adam skips zero gradients only in contiguous floats");
  const auto n = static_cast<double>(step);
  std::vector<at::Tensor> g = given;
  if (gradient_scale != 1) g = at::_foreach_mul(g, gradient_scale);
  if (config.l2 != 0) g = at::_foreach_add(g, p, config.l2);
  if (config.weight_decay != 0) at::_foreach_mul_(p, 1 - lr * config.weight_decay);
  at::_foreach_mul_(first, config.beta1);
  at::_foreach_add_(first, g, 1 - config.beta1);
  at::_foreach_mul_(second, config.beta2);
  at::_foreach_addcmul_(second, g, g, 1 - config.beta2);
  const auto root = at::_foreach_div(second, 1 - std::pow(config.beta2, n));
  at::_foreach_sqrt_(root);
  at::_foreach_add_(root, config.eps);
  at::_foreach_addcdiv_(p, first, root, -lr / (1 - std::pow(config.beta1, n)));
  if (clear_gradients)
    for (const at::Tensor& gradient : given) gradient.zero_();
}

}  // namespace t3d::ops
