#include "t3d/core/checksum.h"

#include <array>
#include <cstdio>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace t3d {
namespace {

constexpr uint32_t kReversedPolynomial = 0x82F63B78u;

constexpr std::array<uint32_t, 256> make_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? kReversedPolynomial : 0);
    table[i] = value;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kTable = make_table();

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t crc32c_sse42(const uint8_t* bytes, size_t n_bytes,
                                                        uint32_t state) {
  uint64_t wide = state;
  for (; n_bytes >= 8; n_bytes -= 8, bytes += 8) {
    uint64_t word;
    std::memcpy(&word, bytes, 8);
    wide = _mm_crc32_u64(wide, word);
  }
  state = static_cast<uint32_t>(wide);
  for (; n_bytes > 0; --n_bytes, ++bytes) state = _mm_crc32_u8(state, *bytes);
  return state;
}
#endif

}  // namespace

uint32_t crc32c_portable(const void* data, size_t n_bytes, uint32_t previous) {
  const uint8_t* bytes = static_cast<const uint8_t*>(data);
  uint32_t state = ~previous;
  for (size_t i = 0; i < n_bytes; ++i) state = (state >> 8) ^ kTable[(state ^ bytes[i]) & 0xFF];
  return ~state;
}

uint32_t crc32c(const void* data, size_t n_bytes, uint32_t previous) {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2");
  if (has_instruction) return ~crc32c_sse42(static_cast<const uint8_t*>(data), n_bytes, ~previous);
#endif
  return crc32c_portable(data, n_bytes, previous);
}

std::string checksum_text(uint32_t checksum) {
  char text[9];
  std::snprintf(text, sizeof text, "%08x", checksum);
  return text;
}

}  // namespace t3d
