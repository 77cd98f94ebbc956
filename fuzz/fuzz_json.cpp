#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "t3d/core/error.h"
#include "t3d/core/json_text.h"

/// What parses must be written and parse again to the same value.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto value = t3d::parse_json({reinterpret_cast<const char*>(data), size}, "fuzz.json");
    if (t3d::parse_json(t3d::json_text(value), "again.json") != value) std::abort();
  } catch (const t3d::UserError&) {
  }
  return 0;
}
