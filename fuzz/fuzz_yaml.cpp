#include <cstdint>
#include <string>

#include "t3d/core/config/interpolation.h"
#include "t3d/core/config/read_yaml.h"
#include "t3d/core/config/write_yaml.h"
#include "t3d/core/error.h"

/// Any text is read and resolved or refused with a UserError; what is read is written and read back as
/// itself.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace t3d;
  try {
    config::Node node = config::read_yaml(std::string(reinterpret_cast<const char*>(data), size), "fuzz");
    const std::string written = config::write_yaml(node);
    if (config::write_yaml(config::read_yaml(written, "again")) != written) __builtin_trap();
    config::resolve_interpolations(node);
  } catch (const UserError&) {
  }
  return 0;
}
