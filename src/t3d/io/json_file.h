#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "t3d/core/json_text.h"

namespace t3d::io {

/// Reads a whole JSON file. Throws SystemError when it cannot be read, UserError "file:line:column: ..." when
/// it is not JSON, is larger or deeper than `limits`, or has a key twice in one object.
nlohmann::json read_json_file(const std::string& path, const JsonLimits& limits = {});

/// Writes json_text(value), complete or absent; keeps doubles exact. Throws SystemError.
void write_json_file(const std::string& path, const nlohmann::json& value);

}  // namespace t3d::io
