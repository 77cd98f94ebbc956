#pragma once

#include <cmath>

namespace t3d {

/// IEC 61966-2-1: between a colour's value as images hold it and light, both in [0,1].
inline float linear_from_srgb(float v) {
  return v <= 0.04045f ? v / 12.92f : std::pow((v + 0.055f) / 1.055f, 2.4f);
}
inline float srgb_from_linear(float v) {
  return v <= 0.0031308f ? 12.92f * v : 1.055f * std::pow(v, 1 / 2.4f) - 0.055f;
}

}  // namespace t3d
