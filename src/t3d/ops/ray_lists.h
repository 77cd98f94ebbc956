#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <utility>
#include <vector>

#include "t3d/core/error.h"
#include "t3d/ops/ray_march.h"

/// What ray_march.cpp and ray_lattice.cpp share.
namespace t3d::ops {

/// Checked, contiguous float rays.
struct Rays {
  at::Tensor o, d, jitter;  // [R,3], [R,3], [R] or undefined
  Rays(const at::Tensor& origins, const at::Tensor& directions, const at::Tensor& shifts) {
    T3D_CHECK(origins.dim() == 2 && origins.size(1) == 3 && origins.sizes() == directions.sizes(), "origins ",
              origins.sizes(), " and directions ", directions.sizes(), " must both be [R,3]");
    o = origins.detach().to(at::kFloat).contiguous();
    d = directions.detach().to(at::kFloat).contiguous();
    if (!shifts.defined()) return;
    T3D_CHECK(shifts.numel() == origins.size(0), "jitter has ", shifts.numel(), " entries for ",
              origins.size(0), " rays");
    jitter = shifts.detach().to(at::kFloat).contiguous();
  }
  int64_t size() const { return o.size(0); }
  const float* origin(int64_t r) const { return o.data_ptr<float>() + 3 * r; }
  const float* direction(int64_t r) const { return d.data_ptr<float>() + 3 * r; }
  const float* shifts() const { return jitter.defined() ? jitter.data_ptr<float>() : nullptr; }
};

using Interval = std::pair<float, float>;  // middle and length, or start and end

/// Tensors from one list of (middle, length) per ray.
inline RaySamples pack(const std::vector<std::vector<Interval>>& lists) {
  const auto n_rays = static_cast<int64_t>(lists.size());
  RaySamples out;
  out.ray_start = at::zeros({n_rays + 1}, at::kInt);  // [R+1]
  int32_t* start = out.ray_start.data_ptr<int32_t>();
  for (int64_t r = 0; r < n_rays; ++r) start[r + 1] = start[r] + static_cast<int32_t>(lists[r].size());
  const int64_t n = start[n_rays];
  out.ray_indices = at::empty({n}, at::kLong);
  out.t = at::empty({n}, at::kFloat);
  out.dt = at::empty({n}, at::kFloat);
  auto* const indices = out.ray_indices.data_ptr<int64_t>();
  auto *const t = out.t.data_ptr<float>(), *const dt = out.dt.data_ptr<float>();
  at::parallel_for(0, n_rays, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      int64_t i = start[r];
      for (const Interval& sample : lists[r]) {
        indices[i] = r;
        t[i] = sample.first;
        dt[i++] = sample.second;
      }
    }
  });
  return out;
}

}  // namespace t3d::ops
