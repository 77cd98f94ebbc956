#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "t3d/core/error.h"
#include "t3d/io/npy.h"

/// What parses has as many numbers as its shape says.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto array = t3d::io::parse_npy({reinterpret_cast<const char*>(data), size}, "fuzz.npy");
    size_t n = 1;
    for (const int64_t side : array.shape) n *= static_cast<size_t>(side);
    if (n != array.values.size()) std::abort();
  } catch (const t3d::UserError&) {
  }
  return 0;
}
