#include <ATen/ATen.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "t3d/core/error.h"
#include "t3d/io/torch_file.h"

/// Opens the input as a file that lives in memory and reads every tensor: each must lie inside the file. The
/// input is then read once more as a bare pickle, which a mutated archive seldom reaches.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const int fd = memfd_create("fuzz", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(fd);
  if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != static_cast<ssize_t>(size)) return 0;
  try {
    const t3d::io::TorchFile file(path);
    for (const auto& name : file.names()) {
      const auto& entry = file.entry(name);
      if (entry.begin > size || entry.n_storage > size - entry.begin) std::abort();
      try {
        const auto tensor = file.tensor(name).contiguous();
        if (tensor.sizes() != at::IntArrayRef(entry.shape)) std::abort();
      } catch (const t3d::UserError&) {
        // a bool that is neither 0 nor 1
      }
    }
  } catch (const t3d::Error&) {
  }
  try {
    std::string_view bytes(reinterpret_cast<const char*>(data), size);
    t3d::io::read_pickle(bytes, "pickle");
  } catch (const t3d::Error&) {
  }
  return 0;
}
