#pragma once

#include <cstdint>
#include <vector>

#include "t3d/ops/composite_ray.h"
#include "t3d/ops/ray_march_step.h"
#include "t3d/train/ngp_network_cpu.h"

namespace t3d::train {

/// Renders rays in rounds: each round marches a few samples of every ray that is neither opaque nor through,
/// so that what lies behind a surface is never evaluated. The pictures are those of marching every ray to its
/// end.
class NgpRendererCpu {
 public:
  NgpRendererCpu(const ops::MarchConfig& march, int n_cascades, int sh_degree)
      : march_(march), n_cascades_(n_cascades), sh_degree_(sh_degree) {}

  /// origins, directions [n,3]; colour [n,3] over `background`, opacity and depth [n].
  void render(NgpNetworkCpu& network, const float* params, const uint8_t* bits, const float* origins,
              const float* directions, int64_t n, const float* background, float* colour, float* opacity,
              float* depth);

 private:
  void march_round(const uint8_t* bits, int64_t per_ray);
  void shade_round(NgpNetworkCpu& network, const float* params);

  ops::MarchConfig march_;
  int n_cascades_, sh_degree_;

  std::vector<ops::RayMarcher> marchers_;
  std::vector<ops::RayAccumulator> rays_;
  std::vector<int32_t> alive_;          // rays that still have something to see
  std::vector<uint8_t> is_through_;     // per entry of alive_: the march reached the end of the box
  std::vector<int64_t> first_, count_;  // per entry of alive_: its samples of this round
  std::vector<float> t_, dt_, round_t_, round_dt_;
  std::vector<int32_t> used_, ray_of_sample_;
  Workspace positions_, sigma_, used_sigma_, rgb_, sh_;
};

}  // namespace t3d::train
