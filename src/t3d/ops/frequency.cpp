#include "t3d/ops/frequency.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "t3d/core/error.h"

namespace t3d::ops {

at::Tensor frequency_encode(const at::Tensor& x, int n_frequencies) {
  T3D_CHECK(x.dim() == 2, "x is ", x.sizes(), ", expected [N,D]");
  at::Tensor factors = at::empty({n_frequencies}, at::kDouble);
  for (int k = 0; k < n_frequencies; ++k) factors.data_ptr<double>()[k] = std::ldexp(M_PI, k);
  const at::Tensor phase = x.unsqueeze(-1) * factors.to(x.options());  // [N,D,K]
  return at::stack({at::sin(phase), at::cos(phase)}, -1).reshape({x.size(0), x.size(1) * n_frequencies * 2});
}

double band_weight(int k, int n_frequencies, int64_t step, int64_t n_masking_step) {
  if (n_masking_step <= 0) return 1;
  const double at = static_cast<double>(step) / static_cast<double>(n_masking_step) * n_frequencies - k;
  return (1 - std::cos(M_PI * std::clamp(at, 0.0, 1.0))) / 2;
}

at::Tensor progressive_frequency_encode(const at::Tensor& x, int n_frequencies, int64_t step,
                                        int64_t n_masking_step) {
  T3D_CHECK(x.dim() == 2, "x is ", x.sizes(), ", expected [N,D]");
  std::vector<at::Tensor> parts;
  for (int k = 0; k < n_frequencies; ++k) {
    const at::Tensor phase = x * std::ldexp(1.0, k);  // [N,D]
    const double weight = band_weight(k, n_frequencies, step, n_masking_step);
    parts.push_back(at::sin(phase) * weight);
    parts.push_back(at::cos(phase) * weight);
  }
  return at::cat(parts, -1);  // [N,D*2*K]
}

}  // namespace t3d::ops
