#include "t3d/io/uri.h"

#include <algorithm>
#include <cctype>

#include "t3d/core/error.h"
#include "t3d/io/resolve_path.h"

namespace t3d::io {
namespace {

int base64_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+' || c == '-') return 62;  // - and _: the alphabet for URLs
  return c == '/' || c == '_' ? 63 : -1;
}

bool ends_with_no_case(std::string_view text, std::string_view ending) {
  return text.size() >= ending.size() &&
         std::equal(ending.begin(), ending.end(), text.end() - static_cast<long>(ending.size()),
                    [](char a, char b) { return a == std::tolower(static_cast<unsigned char>(b)); });
}

std::string base64_decoded(std::string_view text, const std::string& place) {
  std::string out;
  out.reserve(text.size() / 4 * 3 + 3);
  uint32_t bits = 0;
  int n_bits = 0;
  for (const char c : text) {
    if (c == '=') break;
    if (std::isspace(static_cast<unsigned char>(c)) != 0) continue;
    const int digit = base64_digit(c);
    if (digit < 0)
      throw UserError(cat(place,
                          " is a data URI whose base64 has a character that does not belong there (code ",
                          static_cast<int>(static_cast<unsigned char>(c)), "). Export the file again."));
    bits = (bits << 6 | static_cast<uint32_t>(digit)) & 0xffffff;
    n_bits += 6;
    if (n_bits < 8) continue;
    n_bits -= 8;
    out += static_cast<char>(bits >> n_bits & 255);
  }
  return out;
}

}  // namespace

bool is_data_uri(std::string_view uri) {
  return uri.size() >= 5 && ends_with_no_case(uri.substr(0, 5), "data:");
}

std::string data_uri_bytes(std::string_view uri, const std::string& place) {
  const size_t comma = uri.find(',');
  if (comma == std::string_view::npos)
    throw UserError(
        cat(place, " is a data URI without a comma, so it holds no data. Export the file again."));
  const std::string data = percent_decoded(std::string(uri.substr(comma + 1)));
  return ends_with_no_case(uri.substr(0, comma), ";base64") ? base64_decoded(data, place) : data;
}

}  // namespace t3d::io
