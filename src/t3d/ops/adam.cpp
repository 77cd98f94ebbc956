#include "t3d/ops/adam.h"

#include <ATen/ATen.h>

#include "t3d/core/error.h"

namespace t3d::ops {

void adam_step(const at::Tensor& params, const at::Tensor& gradients, const at::Tensor& m,
               const at::Tensor& v, const AdamConfig& config, double lr, int64_t step) {
  T3D_CHECK(step >= 1, "Adam's steps count from 1, found ", step);
  for (const at::Tensor* t : {&params, &gradients, &m, &v})
    T3D_CHECK(t->sizes() == params.sizes() && t->scalar_type() == at::kFloat && t->is_contiguous() &&
                  t->device().is_cpu(),
              "Adam takes contiguous float tensors of one shape on the CPU, found ", t->sizes(), " of ",
              t->scalar_type());
  cpu::adam_step(params.data_ptr<float>(), gradients.data_ptr<float>(), m.data_ptr<float>(),
                 v.data_ptr<float>(), params.numel(), config, lr, step, /*clear_gradients=*/false);
}

}  // namespace t3d::ops
