#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace t3d {

/// What a JSON text may ask of us.
struct JsonLimits {
  size_t max_bytes = size_t{256} << 20;
  int max_depth =
      64;  ///< arrays and objects inside each other; also keeps recursive readers off the stack's end
};

/// Parses JSON as RFC 8259 has it: UTF-8, no comments, nothing after the value, every key of an object once.
/// NaN, Infinity and -Infinity, which Python's json module writes, become the strings that json_text() writes
/// for them: a reader that needs a number there refuses them by name, and one that does not goes on.
/// Throws UserError "name:line:column: ..." for a text that breaks a rule or a limit.
nlohmann::json parse_json(std::string_view text, const std::string& name, const JsonLimits& limits = {});

/// Indented by two spaces, ending in a newline, keys sorted. Every finite double reads back as the same bits.
/// Not-a-number and the infinities, which JSON lacks, become the strings "NaN", "Infinity", "-Infinity".
std::string json_text(const nlohmann::json& value);

/// A number, or one of the three strings above. Throws UserError that starts with `place`
/// ("report.json: test.psnr") for anything else.
double json_number(const nlohmann::json& value, const std::string& place);

/// ":line:column" of byte `offset`, both counted from 1, the column in bytes.
std::string line_and_column(std::string_view text, size_t offset);

}  // namespace t3d
