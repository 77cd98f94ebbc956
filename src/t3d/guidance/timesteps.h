#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "t3d/core/config/schedule.h"
#include "t3d/core/rng.h"

namespace t3d::guidance {

/// Timesteps on both sides: the host decides with them, the device computes with them.
struct Timesteps {
  std::vector<int64_t> host;
  at::Tensor device;  ///< the same, [B] or [1] int64

  static Timesteps of(std::vector<int64_t> steps, c10::Device device);
};

/// The range that timesteps are drawn from, as it narrows in the course of training.
class StepRange {
 public:
  struct Rules {
    config::Schedule min_percent{0.02}, max_percent{0.98};
    /// HiFA (Zhu and Zhuang 2023, arXiv:2305.18766, eq. 9): one timestep that falls with the square root of
    /// the step.
    bool sqrt_anneal = false;
    int64_t trainer_max_steps = 25000;
  };

  StepRange(const Rules& rules, int64_t n_steps);

  /// Throws UserError for a range that is empty or not within the model's timesteps.
  void update(int64_t step);
  int64_t min() const { return min_; }
  int64_t max() const { return max_; }

  /// n of them, each uniform in min() .. max(), both ends included.
  Timesteps draw(int64_t n, Rng& rng, c10::Device device) const;

 private:
  void set(double low, double high);

  Rules rules_;
  int64_t n_steps_, min_ = 0, max_ = 0;
};

/// Standard normal numbers: drawn on the CPU from `rng`, so the same on every device, and copied without
/// waiting for it. Advances `rng` by two words whatever the size.
at::Tensor draw_normal(at::IntArrayRef sizes, Rng& rng, c10::Device device);

}  // namespace t3d::guidance
