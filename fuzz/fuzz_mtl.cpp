#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "t3d/io/obj/parse_mtl.h"
#include "t3d/io/text_lines.h"

/// Any text gives materials whose numbers are finite, and at most a few notes.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text = t3d::io::as_utf8(std::string(reinterpret_cast<const char*>(data), size));
  const auto file = t3d::io::obj::parse_mtl(text, "fuzz.mtl");
  for (const auto& m : file.materials) {
    if (m.kd && !m.kd->allFinite()) std::abort();
    if (!m.map_kd.scale.allFinite() || !m.map_kd.offset.allFinite()) std::abort();
    if (m.d && std::isnan(*m.d)) std::abort();
  }
  if (file.notes.size() > 64) std::abort();
  return 0;
}
