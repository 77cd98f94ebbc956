#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// Texts that mesh formats are written in: OBJ, MTL, OFF and the text forms of PLY and STL.
namespace t3d::io {

/// The text as UTF-8 without a byte-order mark. UTF-16 of either byte order is converted, with a mark or,
/// where the first character is ASCII, without; half a pair of surrogates becomes U+FFFD. Other bytes stay.
std::string as_utf8(std::string bytes);

/// The lines of a text; they end with \n, \r\n or \r. With `joins`, a line that ends with a backslash goes on
/// in the next one (the two become blanks), except for comments, which end with paths at times: "#
/// C:\models\".
class TextLines {
 public:
  explicit TextLines(std::string_view text, bool joins = false) : text_(text), joins_(joins) {}

  /// False at the end. Then `line` is the line without its end, and `number` counts from 1 (the first of
  /// those that were joined).
  bool next();
  std::string_view line;
  int64_t number = 0;

 private:
  bool next_physical();
  std::string_view text_;
  std::string joined_;
  size_t at_ = 0;
  int64_t n_read_ = 0;
  bool joins_;
};

/// Takes words from the front of a line.
class Words {
 public:
  explicit Words(std::string_view line) : line_(line), rest_(line) {}

  /// The next word between blanks, empty at the end.
  std::string_view next();
  /// What is left, without the blanks around it.
  std::string_view rest() const;
  /// Where the word that next() returned begins, counted from 1.
  int64_t column() const { return column_; }
  /// Puts the last word back.
  void back() { rest_ = line_.substr(static_cast<size_t>(column_ - 1)); }

 private:
  std::string_view line_, rest_;
  int64_t column_ = 1;
};

/// The whole word as a number: a sign, digits, a point, an exponent; nan, inf and what Microsoft's library
/// prints for them ("-1.#IND"). What is too large becomes infinite, too small 0. False for all else.
bool to_number(std::string_view word, float& value);
bool to_whole(std::string_view word, int64_t& value);

std::string_view trimmed(std::string_view text);
/// ASCII letters in lower case.
std::string lower_case(std::string_view text);

}  // namespace t3d::io
