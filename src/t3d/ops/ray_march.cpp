#include "t3d/ops/ray_march.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "t3d/core/error.h"
#include "t3d/ops/composite.h"
#include "t3d/ops/ray_lists.h"

namespace t3d::ops {

at::Tensor RaySamples::t_starts() const {
  return t - 0.5 * dt;
}

at::Tensor RaySamples::t_ends() const {
  return t + 0.5 * dt;
}

RaySamples RaySamples::to(c10::Device device) const {
  return {ray_start.to(device), ray_indices.to(device), t.to(device), dt.to(device)};
}

RaySamples march(const at::Tensor& origins, const at::Tensor& directions, const DensityGrid& grid,
                 const MarchConfig& config, const at::Tensor& jitter) {
  if (!origins.device().is_cpu()) {
    // Rays go to the CPU and samples come back; training on CUDA has its own march (train/ngp_rays_cuda.h).
    DensityGrid on_cpu = grid;
    on_cpu.bits = grid.bits.cpu();
    return march(origins.cpu(), directions.cpu(), on_cpu, config, jitter.defined() ? jitter.cpu() : jitter)
        .to(origins.device());
  }
  const Rays rays(origins, directions, jitter);
  const uint8_t* bits = grid.bits.data_ptr<uint8_t>();
  at::Tensor counts = at::empty({rays.size()}, at::kInt);  // [R]
  RaySamples out;
  out.ray_start = at::empty({rays.size() + 1}, at::kInt);  // [R+1]
  cpu::march_count(rays.origin(0), rays.direction(0), rays.shifts(), rays.size(), bits, grid.n_cascades,
                   config, counts.data_ptr<int32_t>());
  cpu::exclusive_scan(counts.data_ptr<int32_t>(), rays.size(), INT32_MAX, out.ray_start.data_ptr<int32_t>());
  const int64_t n = out.ray_start[-1].item<int32_t>();
  out.t = at::empty({n}, at::kFloat);   // [S]
  out.dt = at::empty({n}, at::kFloat);  // [S]
  cpu::march_write(rays.origin(0), rays.direction(0), rays.shifts(), rays.size(), bits, grid.n_cascades,
                   config, out.ray_start.data_ptr<int32_t>(), out.t.data_ptr<float>(),
                   out.dt.data_ptr<float>(), nullptr, nullptr);
  out.ray_indices = ray_indices_from_start(out.ray_start);  // [S]
  return out;
}

RaySamples march_reference(const at::Tensor& origins, const at::Tensor& directions, const DensityGrid& grid,
                           const MarchConfig& config, const at::Tensor& jitter) {
  const Rays rays(origins, directions, jitter);
  const uint8_t* bits = grid.bits.data_ptr<uint8_t>();
  std::vector<std::vector<Interval>> lists(rays.size());
  for (int64_t r = 0; r < rays.size(); ++r) {
    RayMarcher ray(rays.origin(r), rays.direction(r), rays.shifts() ? rays.shifts()[r] : 0.5f, config,
                   grid.n_cascades);
    while (ray.t < ray.t_end && static_cast<int>(lists[r].size()) < config.max_samples) {
      const float x = ray.o[0] + ray.t * ray.d[0], y = ray.o[1] + ray.t * ray.d[1],
                  z = ray.o[2] + ray.t * ray.d[2], dt = config.step_at(ray.t);
      const float largest = std::max({std::fabs(x), std::fabs(y), std::fabs(z)});
      const int cascade =
          std::max(cascade_of_position(largest, grid.n_cascades), cascade_of_step(dt, grid.n_cascades));
      const uint32_t cell = cell_number(x, y, z, cascade);
      if (bits[cell >> 3] >> (cell & 7u) & 1u) lists[r].emplace_back(ray.t, dt);
      ray.advance(dt);
    }
  }
  return pack(lists);
}

RaySamples select_samples(const RaySamples& samples, const at::Tensor& keep) {
  const at::Tensor rows = at::nonzero(keep.reshape({-1})).reshape({-1});  // [n]
  RaySamples out;
  out.ray_indices = samples.ray_indices.index_select(0, rows);
  out.t = samples.t.index_select(0, rows);
  out.dt = samples.dt.index_select(0, rows);
  out.ray_start = ray_start_from_indices(out.ray_indices, samples.n_rays());
  return out;
}

}  // namespace t3d::ops
