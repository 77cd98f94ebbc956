#include "t3d/core/config/scalar.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <regex>
#include <set>

#include "t3d/core/error.h"

namespace t3d::config {
namespace {

/// No number is longer; std::regex recurses once per character.
constexpr size_t kLongestNumber = 128;

bool is_one_of(const std::string& text, const std::set<std::string>& words) {
  return words.count(text) != 0;
}

/// 1:30:00 in base 60; the last part may have a fraction.
double base_60(const std::string& text) {
  double value = 0;
  size_t from = 0;
  for (;;) {
    const size_t colon = text.find(':', from);
    value = value * 60 + std::stod(text.substr(from, colon - from));
    if (colon == std::string::npos) return value;
    from = colon + 1;
  }
}

Node int_node(std::string digits, bool negative, int base, const Origin& origin) {
  uint64_t magnitude = 0;
  const char* end = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), end, magnitude, base);
  const uint64_t largest = uint64_t{std::numeric_limits<int64_t>::max()} + (negative ? 1 : 0);
  if (result.ec != std::errc() || result.ptr != end || magnitude > largest)
    throw UserError(
        cat(origin.text(), ": ", digits, " does not fit 64 bits; write it as a float, or in quotes."));
  return Node(negative ? static_cast<int64_t>(0 - magnitude) : static_cast<int64_t>(magnitude), origin);
}

bool read_int(const std::string& text, const Origin& origin, Node& node) {
  static const std::regex pattern(
      R"([-+]?(0b[01_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|[1-9][0-9_]*(:[0-5]?[0-9])+))");
  if (!std::regex_match(text, pattern)) return false;
  const bool negative = text[0] == '-';
  std::string digits = text.substr(text[0] == '-' || text[0] == '+');
  digits.erase(std::remove(digits.begin(), digits.end(), '_'), digits.end());
  if (digits.find(':') != std::string::npos) {
    const double value = base_60(digits);
    if (value > 9e15) throw UserError(cat(origin.text(), ": ", text, " does not fit 64 bits; quote it."));
    node = Node(static_cast<int64_t>(negative ? -value : value), origin);
    return true;
  }
  const bool prefixed = digits.size() > 1 && digits[0] == '0';
  const int base = !prefixed ? 10 : digits[1] == 'b' ? 2 : digits[1] == 'x' ? 16 : 8;
  if (prefixed) digits = digits.substr(base == 8 ? 1 : 2);
  if (digits.empty()) return false;  // 0x_ and the like
  node = int_node(digits, negative, base, origin);
  return true;
}

bool read_float(const std::string& text, const Origin& origin, Node& node) {
  static const std::regex pattern(R"([-+]?[0-9][0-9_]*\.[0-9_]*([eE][-+]?[0-9]+)?)"
                                  R"(|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+)"
                                  R"(|[-+]?\.[0-9][0-9_]*([eE][-+]?[0-9]+)?)"
                                  R"(|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*)"
                                  R"(|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))");
  if (!std::regex_match(text, pattern)) return false;
  const bool negative = text[0] == '-';
  std::string digits = text.substr(text[0] == '-' || text[0] == '+');
  digits.erase(std::remove(digits.begin(), digits.end(), '_'), digits.end());
  double value = 0;
  if (digits[0] == '.' && (digits[1] == 'i' || digits[1] == 'I')) {
    value = std::numeric_limits<double>::infinity();
  } else if (digits[0] == '.' && (digits[1] == 'n' || digits[1] == 'N')) {
    value = std::numeric_limits<double>::quiet_NaN();
  } else if (digits.find(':') != std::string::npos) {
    value = base_60(digits);
  } else {
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (result.ec == std::errc::result_out_of_range)  // Python: inf or 0
      value = digits.find("e-") != std::string::npos || digits.find("E-") != std::string::npos
                  ? 0.0
                  : std::numeric_limits<double>::infinity();
  }
  node = Node(negative ? -value : value, origin);
  return true;
}

/// Shortest digits that give the same double, in Python's choice between plain and exponent.
std::string shortest(double value) {
  char digits[32];
  const double magnitude = std::abs(value);
  const bool plain = value == 0 || (magnitude >= 1e-4 && magnitude < 1e16);
  const auto end =
      plain ? std::to_chars(digits, digits + sizeof digits, value, std::chars_format::fixed).ptr
            : std::to_chars(digits, digits + sizeof digits, value, std::chars_format::scientific).ptr;
  std::string text(digits, end);
  if (plain && text.find('.') == std::string::npos) text += ".0";
  return text;
}

}  // namespace

Node typed_scalar(const std::string& text, const Origin& origin) {
  static const std::set<std::string> null = {"", "~", "null", "Null", "NULL"},
                                     yes = {"yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"},
                                     no = {"no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"};
  if (is_one_of(text, null)) return Node(std::monostate{}, origin);
  if (is_one_of(text, yes)) return Node(true, origin);
  if (is_one_of(text, no)) return Node(false, origin);
  Node node;
  if (text.size() <= kLongestNumber && (read_int(text, origin, node) || read_float(text, origin, node)))
    return node;
  return Node(text, origin);
}

std::string float_text(double value) {
  if (std::isnan(value)) return ".nan";
  if (std::isinf(value)) return value < 0 ? "-.inf" : ".inf";
  return shortest(value);
}

std::string python_float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  return shortest(value);
}

}  // namespace t3d::config
