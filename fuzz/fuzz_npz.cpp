#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "t3d/core/error.h"
#include "t3d/io/npy.h"

/// Opens the input as a file that lives in memory. What parses has as many numbers as its shapes say.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const int fd = memfd_create("fuzz", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(fd);
  if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != static_cast<ssize_t>(size)) return 0;
  try {
    for (const auto& [name, array] : t3d::io::read_npz(path)) {
      size_t n = 1;
      for (const int64_t side : array.shape) n *= static_cast<size_t>(side);
      if (n != array.values.size()) std::abort();
    }
  } catch (const t3d::Error&) {
  }
  return 0;
}
