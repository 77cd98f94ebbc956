#pragma once

#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace t3d {

/// Concatenates the arguments as an output stream would print them.
template <class... Args>
std::string cat(const Args&... args) {
  std::ostringstream out;
  (out << ... << args);
  return out.str();
}

/// The entry of `known` with the smallest edit distance to `word`, or an empty string when none is near
/// (distance above a third of the word's length, at least 2).
std::string nearest(std::string_view word, const std::vector<std::string>& known);

/// "; did you mean x?" for the nearest entry, or an empty string.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& known);

/// "1.5 GiB", "312 MiB", "12 KiB".
std::string human_bytes(double bytes);

/// "1h02m", "3m05s", "12.3s".
std::string human_seconds(double seconds);

}  // namespace t3d
