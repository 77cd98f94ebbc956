#include "t3d/ops/importance.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "t3d/core/error.h"

namespace t3d::ops {

void cpu::resample(const float* edges, const float* cdf, int64_t n_rays, int64_t n_edges, const float* jitter,
                   int64_t n_samples, float* samples, float* intervals) {
  at::parallel_for(0, n_rays, 64, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const float *t = edges + r * n_edges, *c = cdf + r * n_edges;
      float *sample = samples + r * n_samples, *edge = intervals + r * (n_samples + 1);
      const float step = (c[n_edges - 1] - c[0]) / static_cast<float>(n_samples);
      const float shift = jitter == nullptr ? 0.5f : jitter[r];
      int64_t right = 1;  // rises with u: one walk over the edges serves all samples
      for (int64_t i = 0; i < n_samples; ++i) {
        const float u = c[0] + (static_cast<float>(i) + shift) * step;
        while (right < n_edges - 1 && c[right] <= u) ++right;
        const float low = c[right - 1], rise = c[right] - low;
        const float share = rise < 1e-10f ? 0.5f : (u - low) / rise;
        sample[i] = t[right - 1] + share * (t[right] - t[right - 1]);
      }
      for (int64_t i = 1; i < n_samples; ++i) edge[i] = 0.5f * (sample[i - 1] + sample[i]);
      const bool is_single = n_samples == 1;
      const float first_half = is_single ? t[n_edges - 1] - t[0] : 0.5f * (sample[1] - sample[0]);
      const float last_half = is_single ? first_half : 0.5f * (sample[n_samples - 1] - sample[n_samples - 2]);
      edge[0] = std::max(sample[0] - first_half, t[0]);
      edge[n_samples] = std::min(sample[n_samples - 1] + last_half, t[n_edges - 1]);
    }
  });
}

Resampled importance_resample(const at::Tensor& edges, const at::Tensor& cdf, int64_t n_samples,
                              const at::Tensor& jitter) {
  T3D_CHECK(edges.dim() == 2 && edges.size(1) >= 2 && edges.sizes() == cdf.sizes(), "edges ", edges.sizes(),
            " and cdf ", cdf.sizes(), " must both be [R,E] with E >= 2");
  if (!edges.device().is_cpu()) {
    const Resampled on_cpu =
        importance_resample(edges.cpu(), cdf.cpu(), n_samples, jitter.defined() ? jitter.cpu() : jitter);
    return {on_cpu.intervals.to(edges.device()), on_cpu.samples.to(edges.device())};
  }
  T3D_CHECK(n_samples > 0, "resampling to ", n_samples, " intervals");
  const at::Tensor t = edges.detach().to(at::kFloat).contiguous();  // [R,E]
  const at::Tensor c = cdf.detach().to(at::kFloat).contiguous();    // [R,E]
  at::Tensor shift;
  if (jitter.defined()) {
    T3D_CHECK(jitter.numel() == edges.size(0), "jitter has ", jitter.numel(), " entries for ", edges.size(0),
              " rays");
    shift = jitter.detach().to(at::kFloat).contiguous();  // [R]
  }
  Resampled out{at::empty({t.size(0), n_samples + 1}, t.options()),
                at::empty({t.size(0), n_samples}, t.options())};
  cpu::resample(t.data_ptr<float>(), c.data_ptr<float>(), t.size(0), t.size(1),
                shift.defined() ? shift.data_ptr<float>() : nullptr, n_samples, out.samples.data_ptr<float>(),
                out.intervals.data_ptr<float>());
  return out;
}

at::Tensor cdf_from_transmittance(const at::Tensor& transmittance) {
  const at::Tensor end = at::zeros({transmittance.size(0), 1}, transmittance.options());  // [R,1]
  return 1 - at::cat({transmittance, end}, 1);                                            // [R,E]
}

at::Tensor merge_edges(const at::Tensor& a, const at::Tensor& b) {
  return std::get<0>(at::cat({a, b}, 1).sort(1));
}

}  // namespace t3d::ops
