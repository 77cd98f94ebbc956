#include "t3d/ops/adam.h"

#include <ATen/ATen.h>

#include <cmath>

#include "t3d/core/error.h"

namespace t3d::ops {

void adam_step(const at::Tensor& params, const at::Tensor& gradients, const at::Tensor& m,
               const at::Tensor& v, const AdamConfig& config, double lr, int64_t step) {
  T3D_CHECK(step >= 1, "Adam's steps count from 1, found ", step);
  bool is_fused = true;
  for (const at::Tensor* t : {&params, &gradients, &m, &v}) {
    T3D_CHECK(t->sizes() == params.sizes(), "Adam takes tensors of one shape, found ", t->sizes(), " and ",
              params.sizes());
    is_fused = is_fused && t->is_cpu() && t->scalar_type() == at::kFloat && t->is_contiguous();
  }
  if (is_fused)
    return cpu::adam_step(params.data_ptr<float>(), gradients.data_ptr<float>(), m.data_ptr<float>(),
                          v.data_ptr<float>(), params.numel(), config, lr, step, /*clear_gradients=*/false);
  T3D_CHECK(!config.skip_zero_gradients, "Adam skips zero gradients only in contiguous floats on the CPU");
  const auto g = config.l2 == 0 ? gradients : gradients + params * config.l2;
  if (config.weight_decay != 0) params.mul_(1 - lr * config.weight_decay);
  m.mul_(config.beta1).add_(g, 1 - config.beta1);
  v.mul_(config.beta2).addcmul_(g, g, 1 - config.beta2);
  const auto n = static_cast<double>(step);
  const auto root = (v / (1 - std::pow(config.beta2, n))).sqrt_().add_(config.eps);
  params.addcdiv_(m, root, -lr / (1 - std::pow(config.beta1, n)));
}

void adam_step(const std::vector<at::Tensor>& params, const std::vector<at::Tensor>& gradients,
               const std::vector<at::Tensor>& m, const std::vector<at::Tensor>& v, const AdamConfig& config,
               double lr, int64_t step) {
  T3D_CHECK(gradients.size() == params.size() && m.size() == params.size() && v.size() == params.size(),
            "Adam takes lists of one length");
  if (params.empty()) return;
  if (!params[0].is_cuda()) {
    for (size_t i = 0; i < params.size(); ++i)
      adam_step(params[i], gradients[i], m[i], v[i], config, lr, step);
    return;
  }
  T3D_CHECK(step >= 1, "Adam's steps count from 1, found ", step);
  T3D_CHECK(!config.skip_zero_gradients, "Adam skips zero gradients only in contiguous floats on the CPU");
  const auto n = static_cast<double>(step);
  std::vector<at::Tensor> g = gradients;
  if (config.l2 != 0) g = at::_foreach_add(g, params, config.l2);
  if (config.weight_decay != 0) at::_foreach_mul_(params, 1 - lr * config.weight_decay);
  at::_foreach_mul_(m, config.beta1);
  at::_foreach_add_(m, g, 1 - config.beta1);
  at::_foreach_mul_(v, config.beta2);
  at::_foreach_addcmul_(v, g, g, 1 - config.beta2);
  const auto root = at::_foreach_div(v, 1 - std::pow(config.beta2, n));
  at::_foreach_sqrt_(root);
  at::_foreach_add_(root, config.eps);
  at::_foreach_addcdiv_(params, m, root, -lr / (1 - std::pow(config.beta1, n)));
}

}  // namespace t3d::ops
