#pragma once

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <functional>

/// Gradients held against differences, in double precision.
namespace t3d::testing {

/// Largest |analytic - central difference| over the largest derivative, x in double.
inline double gradient_error(const std::function<at::Tensor(const at::Tensor&)>& f, const at::Tensor& at_x,
                             double h = 1e-6) {
  at::Tensor x = at_x.clone().requires_grad_();
  const at::Tensor analytic = torch::autograd::grad({f(x)}, {x})[0].contiguous().view({-1});
  c10::NoGradGuard no_grad;
  at::Tensor probe = at_x.clone().contiguous();
  double* p = probe.data_ptr<double>();
  double worst = 0, largest = 1e-12;
  for (int64_t i = 0; i < probe.numel(); ++i) {
    const double kept = p[i];
    p[i] = kept + h;
    const double high = f(probe).item<double>();
    p[i] = kept - h;
    const double low = f(probe).item<double>();
    p[i] = kept;
    const double expected = (high - low) / (2 * h);
    worst = std::max(worst, std::fabs(expected - analytic[i].item<double>()));
    largest = std::max(largest, std::fabs(expected));
  }
  return worst / largest;
}

/// Weights for a scalar of a tensor: sum(x * fixed_factors(x)).
inline at::Tensor fixed_factors(const at::Tensor& like) {
  return at::sin(at::arange(like.numel(), like.options()) * 1.7 + 0.3).view(like.sizes());
}

}  // namespace t3d::testing
