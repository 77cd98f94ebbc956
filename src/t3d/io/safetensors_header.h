#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace t3d::io {

/// One tensor as the header describes it; byte offsets count from the end of the header.
struct SafetensorsEntry {
  std::string name;
  std::string dtype;  ///< the format's name: "F32", "BF16", "I64", "BOOL", ...
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  ///< sorted by name
  std::map<std::string, std::string> metadata;
  uint64_t data_start = 0;  ///< of the first tensor's bytes, from the start of the file
};

/// Reads and checks the start of a file of `n_bytes` bytes in all. `start` is the file, or as much of it as
/// holds the header. Throws UserError that begins with `path`.
SafetensorsHeader parse_safetensors_header(std::string_view start, uint64_t n_bytes, const std::string& path);

/// Bits per element of a type of the format; 0 for an unknown name.
int safetensors_bits(std::string_view dtype);

constexpr uint64_t kMaxSafetensorsHeader = 100'000'000;

}  // namespace t3d::io
