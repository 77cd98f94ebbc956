#include "t3d/ops/adam.h"

#include <ATen/ATen.h>

#include <cmath>

#include "t3d/core/error.h"

namespace t3d::ops {

namespace {

/// Whether the kernel for contiguous floats on the CPU takes all four.
bool is_fused(const at::Tensor& params, const at::Tensor& gradients, const at::Tensor& m,
              const at::Tensor& v) {
  bool all = true;
  for (const at::Tensor* t : {&params, &gradients, &m, &v}) {
    T3D_CHECK(t->sizes() == params.sizes(), "Adam takes tensors of one shape, found ", t->sizes(), " and ",
              params.sizes());
    all = all && t->is_cpu() && t->scalar_type() == at::kFloat && t->is_contiguous();
  }
  return all;
}

}  // namespace

void adam_step(const at::Tensor& params, const at::Tensor& gradients, const at::Tensor& m,
               const at::Tensor& v, const AdamConfig& config, double lr, int64_t step) {
  adam_step(std::vector{params}, std::vector{gradients}, std::vector{m}, std::vector{v}, config, lr, step);
}

void adam_step(const std::vector<at::Tensor>& params, const std::vector<at::Tensor>& gradients,
               const std::vector<at::Tensor>& m, const std::vector<at::Tensor>& v, const AdamConfig& config,
               double lr, int64_t step) {
  T3D_CHECK(gradients.size() == params.size() && m.size() == params.size() && v.size() == params.size(),
            "Adam takes lists of one length");
  T3D_CHECK(step >= 1, "Adam's steps count from 1, found ", step);
  std::vector<at::Tensor> p, g, first, second;  // those without a kernel of their own
  for (size_t i = 0; i < params.size(); ++i) {
    if (is_fused(params[i], gradients[i], m[i], v[i])) {
      cpu::adam_step(params[i].data_ptr<float>(), gradients[i].data_ptr<float>(), m[i].data_ptr<float>(),
                     v[i].data_ptr<float>(), params[i].numel(), config, lr, step, /*clear_gradients=*/false);
    } else {
      p.push_back(params[i]), g.push_back(gradients[i]), first.push_back(m[i]), second.push_back(v[i]);
    }
  }
  if (p.empty()) return;
  T3D_CHECK(!config.skip_zero_gradients, "Adam skips zero gradients only in contiguous floats on the CPU");
  const auto n = static_cast<double>(step);
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
}

}  // namespace t3d::ops
