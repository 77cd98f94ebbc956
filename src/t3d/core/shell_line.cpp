#include "t3d/core/shell_line.h"

#include <algorithm>
#include <cctype>
#include <cstring>

namespace t3d {
namespace {

/// Means itself to every shell. Bytes of other alphabets do, too.
bool is_plain(char c) {
  const auto u = static_cast<unsigned char>(c);
  return u >= 0x80 || std::isalnum(u) != 0 || (c != '\0' && std::strchr("_-./:=,+@%", c) != nullptr);
}

/// Keeps a meaning between double quotes. `!` is a history's in interactive shells.
bool is_special_in_quotes(char c) {
  return c == '\0' || std::strchr("\"\\$`!", c) != nullptr ||
         std::iscntrl(static_cast<unsigned char>(c)) != 0;
}

}  // namespace

std::string shell_word(const std::string& word) {
  if (!word.empty() && std::all_of(word.begin(), word.end(), is_plain)) return word;
  if (std::none_of(word.begin(), word.end(), is_special_in_quotes)) return '"' + word + '"';
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string shell_line(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + shell_word(word);
  return line;
}

}  // namespace t3d
