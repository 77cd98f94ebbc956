#include "t3d/core/rng.h"

#include <cmath>

namespace t3d {

float Rng::normal() {
  const float u = 1.0f - uniform();  // (0,1]: the logarithm stays finite
  const float v = uniform();
  return std::sqrt(-2.0f * std::log(u)) * std::cos(6.28318530718f * v);
}

}  // namespace t3d
