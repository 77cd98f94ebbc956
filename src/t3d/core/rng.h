#pragma once

#include <array>
#include <cstdint>

#if defined(__CUDACC__)
#define T3D_HOST_DEVICE __host__ __device__
#else
#define T3D_HOST_DEVICE
#endif

namespace t3d {

/// Four 32-bit words out of a 128-bit counter and a 64-bit key.
/// Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", Philox4x32-10. The same numbers on CPU
/// and CUDA, in any order, so a resumed or differently threaded run draws what the first one drew.
struct Philox {
  uint32_t v[4];

  T3D_HOST_DEVICE static Philox at(uint64_t key, uint64_t counter_low, uint64_t counter_high = 0) {
    uint32_t c[4] = {static_cast<uint32_t>(counter_low), static_cast<uint32_t>(counter_low >> 32),
                     static_cast<uint32_t>(counter_high), static_cast<uint32_t>(counter_high >> 32)};
    uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round) {
      const uint64_t p0 = uint64_t{0xD2511F53u} * c[0], p1 = uint64_t{0xCD9E8D57u} * c[2];
      const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0;
      const uint32_t n2 = static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1;
      c[0] = n0;
      c[1] = static_cast<uint32_t>(p1);
      c[2] = n2;
      c[3] = static_cast<uint32_t>(p0);
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    return {{c[0], c[1], c[2], c[3]}};
  }

  /// Word i as a float in [0,1).
  T3D_HOST_DEVICE float uniform(int i) const { return static_cast<float>(v[i] >> 8) * (1.0f / 16777216.0f); }
};

/// A stream of random numbers whose whole state is three integers, so that checkpoints hold it exactly.
class Rng {
 public:
  explicit Rng(uint64_t seed = 0, uint64_t stream = 0) : seed_(seed), stream_(stream) {}

  uint32_t next_u32() {
    const uint64_t position = position_++;
    return Philox::at(seed_, position / 4, stream_).v[position % 4];
  }
  /// Uniform in [0,1), 24 bits.
  float uniform() { return static_cast<float>(next_u32() >> 8) * (1.0f / 16777216.0f); }
  float uniform(float low, float high) { return low + (high - low) * uniform(); }
  /// Uniform in 0 .. n-1, n > 0 (multiply-shift; the bias is below n / 2^32).
  uint32_t below(uint32_t n) { return static_cast<uint32_t>((uint64_t{next_u32()} * n) >> 32); }
  /// Standard normal (Box-Muller; draws two words).
  float normal();

  std::array<uint64_t, 3> state() const { return {seed_, stream_, position_}; }
  void set_state(const std::array<uint64_t, 3>& state) {
    seed_ = state[0];
    stream_ = state[1];
    position_ = state[2];
  }

 private:
  uint64_t seed_, stream_, position_ = 0;
};

}  // namespace t3d
