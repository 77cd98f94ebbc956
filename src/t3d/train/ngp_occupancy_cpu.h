#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "t3d/field/ngp_model.h"

namespace t3d::train {

/// Keeps the occupancy grid up to date at a cost that a few cores can bear. Blocks of 2x2x2 cells take turns,
/// at most kBlocksPerUpdate of them an update; before `warmup_steps` one random point stands for a block,
/// later each occupied block is asked cell by cell. A cell that is asked becomes max(decayed, density); the
/// decay makes up for the updates between its turns. Draws are functions of (seed, step, block), so nothing
/// but the grid itself is state.
class NgpOccupancyCpu {
 public:
  using Density = std::function<void(const float* points, int64_t n, float* sigma)>;
  static constexpr int64_t kBlocksPerUpdate = 1 << 15;
  static constexpr int kInterval = 16, kWarmupSteps = 256;

  /// Blocks with a cell that is not -1.
  void find_live_blocks(const field::NgpState& state);
  void update(field::NgpState& state, const Density& density_of);

 private:
  std::vector<uint32_t> live_blocks_, blocks_;
  std::vector<uint8_t> n_points_;
  std::vector<float> points_, sigma_;
};

}  // namespace t3d::train
