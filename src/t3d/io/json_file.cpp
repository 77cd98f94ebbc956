#include "t3d/io/json_file.h"

#include <nlohmann/json.hpp>

#include "t3d/core/atomic_file.h"

namespace t3d::io {

nlohmann::json read_json_file(const std::string& path, const JsonLimits& limits) {
  return parse_json(read_whole_file(path, limits.max_bytes), path, limits);
}

void write_json_file(const std::string& path, const nlohmann::json& value) {
  write_file_atomically(path, json_text(value));
}

}  // namespace t3d::io
