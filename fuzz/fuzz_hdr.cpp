#include <cstdint>
#include <cstdlib>

#include "t3d/core/error.h"
#include "t3d/io/image_hdr.h"

/// What decodes has as many numbers as its size says.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  t3d::io::ImageLimits limits;
  limits.max_side = 4096;
  limits.max_bytes = 1 << 24;
  try {
    const auto image = t3d::io::decode_hdr(data, size, "fuzz.hdr", limits);
    if (image.pixels.size() != static_cast<size_t>(image.width) * image.height * image.channels) std::abort();
  } catch (const t3d::UserError&) {
  }
  return 0;
}
