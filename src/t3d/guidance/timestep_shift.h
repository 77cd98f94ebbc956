#pragma once

#include "t3d/core/config/fields.h"
#include "t3d/guidance/timesteps.h"

namespace t3d::guidance {

/// The second, larger timestep of asynchronous score distillation.
struct TimestepShift {
  double ratio = 0.1;      ///< plus_ratio, eta; 0: the same timestep, as in classifier score distillation
  bool is_random = false;  ///< plus_random: the shift times a number uniform in [0,1)

  template <class V>
  void visit(V& v) {
    v("plus_ratio", ratio, config::non_negative(),
      "the second timestep lies this share of t - t_min above t; 0: classifier score distillation");
    v("plus_random", is_random, config::any(), "the shift times a uniform random number");
  }

  /// t+ = clamp(t + trunc(u clamp(eta (t - t_min), 0, T - 1 - t)), 1, T - 1), in single precision as the
  /// reference. `uniform` has one number for each t; it is not looked at unless is_random.
  std::vector<int64_t> apply(const std::vector<int64_t>& t, const std::vector<float>& uniform, int64_t t_min,
                             int64_t n_steps) const;
  std::vector<float> draw(size_t n, Rng& rng) const;
};

}  // namespace t3d::guidance
