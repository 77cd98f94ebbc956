#include "t3d/ops/composite.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <vector>

#include "t3d/core/error.h"
#include "t3d/ops/composite_recurrence.h"
#include "t3d/ops/device.h"

#ifdef T3D_HAS_CUDA
#include "t3d/ops/composite_cuda.h"
#endif

namespace t3d::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

/// Calls body(ray, first sample, number of samples) for each ray, on all threads.
template <class Body>
void for_each_ray(const at::Tensor& ray_start, const Body& body) {
  const int32_t* start = ray_start.data_ptr<int32_t>();
  at::parallel_for(0, ray_start.size(0) - 1, 128, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) body(r, int64_t{start[r]}, int64_t{start[r + 1]} - start[r]);
  });
}

/// Calls body(T{}) with T float or double.
template <class Body>
void with_type(const at::Tensor& tensor, const Body& body) {
  if (tensor.scalar_type() == at::kDouble) return body(double{});
  T3D_CHECK(tensor.scalar_type() == at::kFloat, "compositing takes float or double, not ",
            tensor.scalar_type());
  body(float{});
}

at::Tensor starts_of(const at::Tensor& ray_start, int64_t n_samples) {
  T3D_CHECK(ray_start.dim() == 1 && ray_start.scalar_type() == at::kInt, "ray_start must be [R+1] int32");
  const at::Tensor start = ray_start.contiguous();
  if (runs_on_cuda(start)) return start;  // looking at the last entry would wait for the device
  T3D_CHECK(start[-1].item<int32_t>() == n_samples, "ray_start ends at ", start[-1].item<int32_t>(), " but ",
            n_samples, " samples came");
  return start;
}

/// Gradient, or zeros where autograd gives none.
at::Tensor gradient_or_zeros(const at::Tensor& gradient, const at::Tensor& like) {
  return gradient.defined() ? gradient.contiguous() : at::zeros_like(like);
}

struct WeightsFromAlpha : public Function<WeightsFromAlpha> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& alpha_in, const at::Tensor& keep_in,
                               const at::Tensor& ray_start) {
    const at::Tensor alpha = alpha_in.contiguous(), keep = keep_in.contiguous();  // [S]
    at::Tensor weights = at::empty_like(alpha), transmittance = at::empty_like(alpha);
    with_type(alpha, [&](auto zero) {
      using T = decltype(zero);
#ifdef T3D_HAS_CUDA
      if (runs_on_cuda(alpha))
        return cuda::ray_weights<T>(ray_start.data_ptr<int32_t>(), ray_start.size(0) - 1, alpha.data_ptr<T>(),
                                    keep.data_ptr<T>(), weights.data_ptr<T>(), transmittance.data_ptr<T>(),
                                    current_stream());
#endif
      for_each_ray(ray_start, [&](int64_t, int64_t s, int64_t n) {
        recurrence::weights(alpha.data_ptr<T>() + s, keep.data_ptr<T>() + s, n, weights.data_ptr<T>() + s,
                            transmittance.data_ptr<T>() + s);
      });
    });
    ctx->save_for_backward({alpha, keep, transmittance, ray_start});
    return {weights, transmittance};
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &alpha = saved[0], &keep = saved[1], &transmittance = saved[2];
    const at::Tensor d_w = gradient_or_zeros(gradients[0], alpha);
    const at::Tensor d_t = gradient_or_zeros(gradients[1], alpha);
    at::Tensor d_alpha = at::empty_like(alpha);  // [S]
    with_type(alpha, [&](auto zero) {
      using T = decltype(zero);
#ifdef T3D_HAS_CUDA
      if (runs_on_cuda(alpha))
        return cuda::ray_weights_adjoint<T>(saved[3].data_ptr<int32_t>(), saved[3].size(0) - 1,
                                            alpha.data_ptr<T>(), keep.data_ptr<T>(),
                                            transmittance.data_ptr<T>(), d_w.data_ptr<T>(), d_t.data_ptr<T>(),
                                            d_alpha.data_ptr<T>(), current_stream());
#endif
      for_each_ray(saved[3], [&](int64_t, int64_t s, int64_t n) {
        recurrence::weights_adjoint(alpha.data_ptr<T>() + s, keep.data_ptr<T>() + s,
                                    transmittance.data_ptr<T>() + s, d_w.data_ptr<T>() + s,
                                    d_t.data_ptr<T>() + s, n, d_alpha.data_ptr<T>() + s);
      });
    });
    return {d_alpha, at::Tensor(), at::Tensor()};
  }
};

struct Accumulate : public Function<Accumulate> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& weights_in, const at::Tensor& values_in,
                            const at::Tensor& ray_start) {
    const at::Tensor weights = weights_in.contiguous(), values = values_in.contiguous();  // [S], [S,C]
    const int64_t n_channels = values.size(1);
    at::Tensor sums = at::zeros({ray_start.size(0) - 1, n_channels}, values.options());  // [R,C]
    with_type(weights, [&](auto zero) {
      using T = decltype(zero);
      const T *w = weights.data_ptr<T>(), *v = values.data_ptr<T>();
#ifdef T3D_HAS_CUDA
      if (runs_on_cuda(weights))
        return cuda::ray_sums<T>(ray_start.data_ptr<int32_t>(), ray_start.size(0) - 1, w, v, n_channels,
                                 sums.data_ptr<T>(), current_stream());
#endif
      for_each_ray(ray_start, [&](int64_t r, int64_t s, int64_t n) {
        T* sum = sums.data_ptr<T>() + r * n_channels;
        for (int64_t i = s; i < s + n; ++i)
          for (int64_t c = 0; c < n_channels; ++c) sum[c] += w[i] * v[i * n_channels + c];
      });
    });
    ctx->save_for_backward({weights_in, values_in, ray_start});
    return sums;
  }

  /// Made of tensor operations, so that it can be differentiated again.
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor per_sample = gradients[0].index_select(0, ray_indices_from_start(saved[2]));  // [S,C]
    return {(per_sample * saved[1]).sum(1), per_sample * saved[0].unsqueeze(1), at::Tensor()};
  }
};

/// Early stop: zero from the first sample whose T is at or below the limit.
at::Tensor stop_mask(const at::Tensor& transmittance, double min_transmittance) {
  return (transmittance > min_transmittance).to(transmittance.scalar_type());
}

at::Tensor visible(const RayWeights& w, double min_transmittance, double min_alpha) {
  const at::Tensor reached = w.transmittance >= min_transmittance;  // [S]
  return min_alpha > 0 ? reached.logical_and(w.alphas >= min_alpha) : reached;
}

}  // namespace

at::Tensor ray_start_from_indices(const at::Tensor& ray_indices, int64_t n_rays) {
  const at::Tensor indices = ray_indices.to(at::kLong).contiguous();  // [S]
  if (runs_on_cuda(indices))
    return at::searchsorted(indices, at::arange(n_rays + 1, indices.options())).to(at::kInt);
  at::Tensor start = at::zeros({n_rays + 1}, at::kInt);  // [R+1]
  int32_t* count = start.data_ptr<int32_t>();
  const int64_t* index = indices.data_ptr<int64_t>();
  for (int64_t i = 0; i < indices.numel(); ++i) {
    T3D_CHECK(index[i] >= 0 && index[i] < n_rays && (i == 0 || index[i] >= index[i - 1]),
              "ray_indices must rise within 0..", n_rays - 1, ", entry ", i, " is ", index[i]);
    ++count[index[i] + 1];
  }
  for (int64_t r = 0; r < n_rays; ++r) count[r + 1] += count[r];
  return start;
}

at::Tensor ray_indices_from_start(const at::Tensor& ray_start) {
  if (runs_on_cuda(ray_start)) {
    const at::Tensor counts = ray_start.slice(0, 1) - ray_start.slice(0, 0, -1);  // [R]
    return at::repeat_interleave(counts.to(at::kLong));
  }
  const int32_t* start = ray_start.data_ptr<int32_t>();
  const int64_t n_rays = ray_start.size(0) - 1;
  at::Tensor indices = at::empty({start[n_rays]}, at::kLong);  // [S]
  int64_t* index = indices.data_ptr<int64_t>();
  for_each_ray(ray_start, [&](int64_t r, int64_t s, int64_t n) { std::fill_n(index + s, n, r); });
  return indices;
}

RayWeights weights_from_density(const at::Tensor& sigma, const at::Tensor& dt, const at::Tensor& ray_start) {
  T3D_CHECK(sigma.dim() == 1 && sigma.sizes() == dt.sizes(), "sigma ", sigma.sizes(), " and dt ", dt.sizes(),
            " must both be [S]");
  const at::Tensor keep = at::exp(-sigma * dt);  // [S]
  const at::Tensor alphas = 1 - keep;            // [S]; carries the derivative by sigma for both
  const auto out = WeightsFromAlpha::apply(alphas, keep.detach(), starts_of(ray_start, sigma.size(0)));
  return {out[0], out[1], alphas};
}

RayWeights weights_from_alpha(const at::Tensor& alpha, const at::Tensor& ray_start) {
  T3D_CHECK(alpha.dim() == 1, "alpha must be [S], not ", alpha.sizes());
  const auto out = WeightsFromAlpha::apply(alpha, (1 - alpha).detach(), starts_of(ray_start, alpha.size(0)));
  return {out[0], out[1], alpha};
}

RayWeights weights_from_density_batched(const at::Tensor& sigma, const at::Tensor& dt) {
  T3D_CHECK(sigma.dim() == 2 && sigma.sizes() == dt.sizes(), "sigma ", sigma.sizes(), " and dt ", dt.sizes(),
            " must both be [R,N]");
  const at::Tensor start =
      (at::arange(sigma.size(0) + 1, sigma.options().dtype(at::kInt)) * sigma.size(1)).to(at::kInt);  // [R+1]
  const RayWeights flat = weights_from_density(sigma.reshape({-1}), dt.reshape({-1}), start);
  return {flat.weights.view(sigma.sizes()), flat.transmittance.view(sigma.sizes()),
          flat.alphas.view(sigma.sizes())};
}

at::Tensor accumulate_along_rays(const at::Tensor& weights, const at::Tensor& values,
                                 const at::Tensor& ray_start) {
  const at::Tensor v = values.defined() ? values : at::ones({weights.size(0), 1}, weights.options());
  T3D_CHECK(weights.dim() == 1 && v.dim() == 2 && v.size(0) == weights.size(0), "weights ", weights.sizes(),
            " must be [S], values ", v.sizes(), " [S,C]");
  return Accumulate::apply(weights, v, starts_of(ray_start, weights.size(0)));  // [R,C]
}

at::Tensor visible_samples(const at::Tensor& sigma, const at::Tensor& dt, const at::Tensor& ray_start,
                           double min_transmittance, double min_alpha) {
  c10::NoGradGuard no_grad;
  return visible(weights_from_density(sigma, dt, ray_start), min_transmittance, min_alpha);
}

at::Tensor visible_samples(const at::Tensor& alpha, const at::Tensor& ray_start, double min_transmittance,
                           double min_alpha) {
  c10::NoGradGuard no_grad;
  return visible(weights_from_alpha(alpha, ray_start), min_transmittance, min_alpha);
}

at::Tensor z_variance(const at::Tensor& weights, const at::Tensor& t, const at::Tensor& opacity,
                      const at::Tensor& ray_start) {
  const at::Tensor rays = ray_indices_from_start(starts_of(ray_start, weights.size(0)));           // [S]
  const at::Tensor share = weights / opacity.reshape({-1}).clamp_min(1e-5).index_select(0, rays);  // [S]
  const at::Tensor mean = accumulate_along_rays(share, t.unsqueeze(1), ray_start);                 // [R,1]
  const at::Tensor square = (t.unsqueeze(1) - mean.index_select(0, rays)).square();                // [S,1]
  const at::Tensor variance = accumulate_along_rays(share, square, ray_start);                     // [R,1]
  return at::where(opacity.reshape({-1, 1}) > 0.5, variance, at::zeros_like(variance));
}

Composited composite(const at::Tensor& sigma, const at::Tensor& rgb, const at::Tensor& t,
                     const at::Tensor& dt, const at::Tensor& ray_start, const at::Tensor& background,
                     double min_transmittance) {
  const RayWeights w = weights_from_density(sigma, dt, ray_start);
  const at::Tensor weights = w.weights * stop_mask(w.transmittance.detach(), min_transmittance);  // [S]
  const at::Tensor values = at::cat({rgb, at::ones_like(t).unsqueeze(1), t.unsqueeze(1)}, 1);     // [S,5]
  const at::Tensor sums = accumulate_along_rays(weights, values, ray_start);                      // [R,5]
  Composited out{sums.slice(1, 0, 3), sums.slice(1, 3, 4), sums.slice(1, 4, 5)};
  if (background.defined()) out.colour = out.colour + background * (1 - out.opacity);
  return out;
}

}  // namespace t3d::ops
