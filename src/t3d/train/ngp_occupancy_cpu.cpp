#include "t3d/train/ngp_occupancy_cpu.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "t3d/ops/occupancy.h"

namespace t3d::train {
namespace {

/// Streams apart from those of ops::DrawStream.
constexpr uint64_t kStream = 0x4f42u;

}  // namespace

void NgpOccupancyCpu::find_live_blocks(const field::NgpState& state) {
  live_blocks_.clear();
  const float* density = state.density.data_ptr<float>();
  for (int64_t block = 0; block < state.density.numel() / 8; ++block)
    if (std::any_of(density + 8 * block, density + 8 * block + 8, [](float d) { return d >= 0; }))
      live_blocks_.push_back(static_cast<uint32_t>(block));
}

void NgpOccupancyCpu::update(field::NgpState& state, const Density& density_of) {
  if (live_blocks_.empty()) return;
  const int n_cascades = ops::cascade_count(state.aabb_scale);
  float* density = state.density.data_ptr<float>();
  auto* bits = state.bits.data_ptr<uint8_t>();
  const auto n_live = static_cast<int64_t>(live_blocks_.size());
  const int64_t stride = (n_live + kBlocksPerUpdate - 1) / kBlocksPerUpdate;
  const int64_t turn = (state.step / kInterval) % stride;
  const auto step = static_cast<uint32_t>(state.step);

  points_.clear();
  blocks_.clear();
  n_points_.clear();
  for (int64_t i = turn; i < n_live; i += stride) {
    const uint32_t block = live_blocks_[static_cast<size_t>(i)];
    const bool by_cell = state.step >= kWarmupSteps && bits[block] != 0;
    blocks_.push_back(block);
    n_points_.push_back(by_cell ? 8 : 1);
    for (uint32_t cell = 0; cell < (by_cell ? 8u : 1u); ++cell) {
      const Philox r = Philox::at(state.seed, 8 * uint64_t{block} + cell, (kStream << 32) | step);
      const float scale = by_cell ? 1.0f : 2.0f;
      float point[3];
      ops::cell_point(8 * block + cell, scale * r.uniform(0), scale * r.uniform(1), scale * r.uniform(2),
                      point);
      points_.insert(points_.end(), point, point + 3);
    }
  }
  const auto n = static_cast<int64_t>(points_.size() / 3);
  sigma_.resize(static_cast<size_t>(n));
  density_of(points_.data(), n, sigma_.data());

  const float decay = std::pow(ops::DensityGridConfig{}.decay, static_cast<float>(stride));
  const float* sigma = sigma_.data();
  for (size_t i = 0; i < blocks_.size(); ++i) {
    float* cells = density + 8 * static_cast<size_t>(blocks_[i]);
    for (int cell = 0; cell < 8; ++cell)
      if (cells[cell] >= 0) cells[cell] = std::max(cells[cell] * decay, sigma[n_points_[i] == 8 ? cell : 0]);
    sigma += n_points_[i];
  }
  ops::cpu::update_bits(density, n_cascades, ops::DensityGridConfig{}.density_threshold(), bits);
}

}  // namespace t3d::train
