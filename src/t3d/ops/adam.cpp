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

}  // namespace t3d::ops
