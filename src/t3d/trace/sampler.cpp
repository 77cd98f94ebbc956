#include "t3d/trace/sampler.h"

#include <cmath>

namespace t3d::trace {
namespace {

uint64_t mix(uint64_t x) {  // the finaliser of splitmix64: every input bit reaches every output bit
  x += 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

}  // namespace

PixelSampler::PixelSampler(uint64_t seed, uint32_t pixel, uint32_t n_samples)
    : key_(mix(seed * 0x100000001B3ull + pixel)), mask_(1) {
  while (mask_ < n_samples) mask_ *= 2;
  mask_ -= 1;
}

Vec2f PixelSampler::next_2d() {
  const uint64_t bits = mix(key_ + dimension_++);
  // Powers of 1 / plastic number as 32-bit fractions; unsigned wrap-around is the fractional part.
  const uint32_t point = (index_ ^ static_cast<uint32_t>(bits >> 40)) & mask_;
  const uint32_t x = point * 3242174889u + static_cast<uint32_t>(bits);
  const uint32_t y = point * 2447445414u + static_cast<uint32_t>(bits >> 32);
  return {static_cast<float>(x >> 8) * (1.0f / 16777216.0f),
          static_cast<float>(y >> 8) * (1.0f / 16777216.0f)};
}

}  // namespace t3d::trace
