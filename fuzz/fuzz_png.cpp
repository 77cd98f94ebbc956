#include <zlib.h>

#include <cstdint>
#include <cstdlib>
#include <vector>

#include "t3d/core/error.h"
#include "t3d/io/image.h"

namespace {

/// Right checksums, so that mutations reach the decoder behind them.
std::vector<uint8_t> with_checksums(const uint8_t* data, size_t size) {
  std::vector<uint8_t> bytes(data, data + size);
  for (size_t at = 8; at + 12 <= size;) {
    const size_t length =
        size_t{bytes[at]} << 24 | size_t{bytes[at + 1]} << 16 | size_t{bytes[at + 2]} << 8 | bytes[at + 3];
    if (length > size - at - 12) break;
    const uLong sum = crc32(crc32(0, nullptr, 0), &bytes[at + 4], static_cast<uInt>(length + 4));
    for (size_t i = 0; i < 4; ++i) bytes[at + 8 + length + i] = static_cast<uint8_t>(sum >> (24 - 8 * i));
    at += 12 + length;
  }
  return bytes;
}

void decode(const std::vector<uint8_t>& bytes, int channels) {
  t3d::io::ImageLimits limits;
  limits.max_side = 4096;
  limits.max_bytes = 1 << 24;
  try {
    const auto image = t3d::io::decode_image(bytes.data(), bytes.size(), "fuzz.png", channels, limits);
    if (image.pixels.size() != static_cast<size_t>(image.width) * image.height * image.channels) std::abort();
  } catch (const t3d::UserError&) {
  }
}

}  // namespace

/// PNG and JPEG: what decodes has as many bytes as its size says.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  decode(std::vector<uint8_t>(data, data + size), 0);
  if (size > 8 && data[0] == 0x89) decode(with_checksums(data, size), 4);
  return 0;
}
