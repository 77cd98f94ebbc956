#pragma once

#include <string_view>

namespace t3d {

/// Whether `text` begins with `start`.
inline bool starts_with(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

/// Whether `text` ends with `end`.
inline bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

}  // namespace t3d
