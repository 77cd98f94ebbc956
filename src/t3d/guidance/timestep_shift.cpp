#include "t3d/guidance/timestep_shift.h"

#include <algorithm>
#include <cmath>

namespace t3d::guidance {

std::vector<float> TimestepShift::draw(size_t n, Rng& rng) const {
  std::vector<float> uniform(n, 1.0f);
  if (is_random)
    for (float& u : uniform) u = rng.uniform();
  return uniform;
}

std::vector<int64_t> TimestepShift::apply(const std::vector<int64_t>& t, const std::vector<float>& uniform,
                                          int64_t t_min, int64_t n_steps) const {
  std::vector<int64_t> later;
  for (size_t i = 0; i < t.size(); ++i) {
    const auto room = static_cast<float>(n_steps - 1 - t[i]);
    float shift = std::clamp(static_cast<float>(ratio) * static_cast<float>(t[i] - t_min), 0.0f, room);
    if (is_random) shift *= uniform[i];
    later.push_back(std::clamp<int64_t>(t[i] + static_cast<int64_t>(shift), 1, n_steps - 1));
  }
  return later;
}

}  // namespace t3d::guidance
