#include "t3d/io/text_lines.h"

#include <charconv>
#include <cstdlib>
#include <limits>

namespace t3d::io {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r' || c == '\0';
}

void append_utf8(std::string& out, uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 0x3f));
    out += static_cast<char>(0x80 | (c >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  }
}

std::string from_utf16(std::string_view bytes, bool big_endian) {
  std::string out;
  out.reserve(bytes.size() / 2);
  const auto unit = [&](size_t i) {
    const auto first = static_cast<uint8_t>(bytes[i]), second = static_cast<uint8_t>(bytes[i + 1]);
    return static_cast<uint32_t>(big_endian ? first << 8 | second : second << 8 | first);
  };
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
    uint32_t c = unit(i);
    if (c >= 0xd800 && c < 0xe000) {
      const uint32_t low = c < 0xdc00 && i + 3 < bytes.size() ? unit(i + 2) : 0;
      if (low >= 0xdc00 && low < 0xe000) {
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        i += 2;
      } else {
        c = 0xfffd;
      }
    }
    append_utf8(out, c);
  }
  return out;
}

}  // namespace

std::string as_utf8(std::string bytes) {
  const std::string_view text = bytes;
  if (text.substr(0, 3) == "\xef\xbb\xbf") return bytes.substr(3);
  if (text.substr(0, 2) == "\xff\xfe") return from_utf16(text.substr(2), false);
  if (text.substr(0, 2) == "\xfe\xff") return from_utf16(text.substr(2), true);
  const auto is_ascii = [](char c) { return c > 0; };
  if (text.size() >= 4 && is_ascii(text[0]) && text[1] == 0 && is_ascii(text[2]) && text[3] == 0)
    return from_utf16(text, false);
  if (text.size() >= 4 && text[0] == 0 && is_ascii(text[1]) && text[2] == 0 && is_ascii(text[3]))
    return from_utf16(text, true);
  return bytes;
}

bool TextLines::next_physical() {
  if (at_ >= text_.size()) return false;
  size_t end = text_.find_first_of("\r\n", at_);
  if (end == std::string_view::npos) end = text_.size();
  line = text_.substr(at_, end - at_);
  at_ = end + 1;
  if (end + 1 < text_.size() && text_[end] == '\r' && text_[end + 1] == '\n') ++at_;
  ++n_read_;
  return true;
}

bool TextLines::next() {
  if (!next_physical()) return false;
  number = n_read_;
  if (!joins_ || line.empty() || line.back() != '\\') return true;
  const std::string_view start = trimmed(line);
  if (!start.empty() && start[0] == '#') return true;
  joined_.clear();
  for (bool goes_on = true; goes_on;) {
    goes_on = !line.empty() && line.back() == '\\';
    if (goes_on) line.remove_suffix(1);
    joined_ += line;
    joined_ += ' ';
    goes_on = goes_on && next_physical();
  }
  line = joined_;
  return true;
}

std::string_view Words::next() {
  size_t begin = 0;
  while (begin < rest_.size() && is_blank(rest_[begin])) ++begin;
  size_t end = begin;
  while (end < rest_.size() && !is_blank(rest_[end])) ++end;
  const std::string_view word = rest_.substr(begin, end - begin);
  column_ = static_cast<int64_t>(line_.size() - rest_.size() + begin) + 1;
  rest_ = rest_.substr(end);
  return word;
}

std::string_view Words::rest() const {
  return trimmed(rest_);
}

bool to_number(std::string_view word, float& value) {
  if (!word.empty() && word[0] == '+') word.remove_prefix(1);
  if (word.empty() || word[0] == '+') return false;
  const char* end = word.data() + word.size();
  const auto parsed = std::from_chars(word.data(), end, value);
  if (parsed.ec == std::errc::result_out_of_range && parsed.ptr == end) {
    const std::string text(word);
    value = std::strtof(text.c_str(), nullptr);  // infinite, or 0
    return true;
  }
  if (parsed.ec != std::errc()) return false;
  if (parsed.ptr != end && *parsed.ptr == '#') {  // 1.#QNAN, -1.#IND, 1.#INF
    value = std::numeric_limits<float>::quiet_NaN();
    return true;
  }
  return parsed.ptr == end;
}

bool to_whole(std::string_view word, int64_t& value) {
  if (!word.empty() && word[0] == '+') word.remove_prefix(1);
  const auto parsed = std::from_chars(word.data(), word.data() + word.size(), value);
  return parsed.ec == std::errc() && parsed.ptr == word.data() + word.size();
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  return text;
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

}  // namespace t3d::io
