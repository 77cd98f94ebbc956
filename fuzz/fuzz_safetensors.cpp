#include <ATen/ATen.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "t3d/core/error.h"
#include "t3d/io/safetensors.h"

/// Opens the input as a file that lives in memory, reads every tensor, and holds what was accepted against
/// the rules: inside the data, of the size that the shape says, tiling it without holes.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const int fd = memfd_create("fuzz", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(fd);
  if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != static_cast<ssize_t>(size)) return 0;
  try {
    const t3d::io::SafetensorsFile file(path);
    uint64_t n_covered = 0;
    for (const auto& entry : file.entries()) {
      const auto bytes = file.bytes(entry.name);
      n_covered += bytes.size();
      if (!bytes.empty()) {
        volatile char touched = bytes.front();
        touched = bytes.back();
        static_cast<void>(touched);
      }
      try {
        const auto tensor = file.tensor(entry.name);
        const bool is_8_bit = entry.dtype.rfind("F8_", 0) == 0;  // read as float16
        if (tensor.nbytes() != bytes.size() * (is_8_bit ? 2 : 1)) std::abort();
      } catch (const t3d::UserError&) {
        // a type that this LibTorch does not hold
      }
    }
    if (n_covered > size) std::abort();
  } catch (const t3d::Error&) {
  }
  return 0;
}
