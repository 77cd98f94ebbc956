#include "t3d/diffusion/unicode.h"

#include <utf8proc.h>

#include <cstdlib>

#include "t3d/core/error.h"

namespace t3d::diffusion {
namespace {

std::u32string normalised(std::u32string_view text, int options, const char* name) {
  const std::string bytes = encode_utf8(text);
  utf8proc_uint8_t* out = nullptr;
  const auto n = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(bytes.data()),
                              static_cast<utf8proc_ssize_t>(bytes.size()), &out,
                              static_cast<utf8proc_option_t>(options));
  T3D_CHECK(n >= 0, "utf8proc: ", utf8proc_errmsg(n));
  const std::string mapped(reinterpret_cast<const char*>(out), static_cast<size_t>(n));
  std::free(out);
  return decode_utf8(mapped, name);
}

}  // namespace

std::u32string decode_utf8(std::string_view text, const std::string& name) {
  std::u32string points;
  points.reserve(text.size());
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  for (size_t i = 0; i < text.size();) {
    utf8proc_int32_t c = 0;
    const auto n = utf8proc_iterate(bytes + i, static_cast<utf8proc_ssize_t>(text.size() - i), &c);
    if (n <= 0) {
      constexpr char kHex[] = "0123456789abcdef";
      throw UserError(cat(name, " is not valid UTF-8: byte ", i + 1, " (0x", kHex[bytes[i] >> 4],
                          kHex[bytes[i] & 15], ") begins no character. Save or type it as UTF-8."));
    }
    points.push_back(static_cast<char32_t>(c));
    i += static_cast<size_t>(n);
  }
  return points;
}

void append_utf8(std::string& out, char32_t c) {
  utf8proc_uint8_t bytes[4];
  const auto n = utf8proc_encode_char(static_cast<utf8proc_int32_t>(c), bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(n));
}

std::string encode_utf8(std::u32string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char32_t c : text) append_utf8(out, c);
  return out;
}

std::u32string nfc(std::u32string_view text) {
  return normalised(text, UTF8PROC_STABLE | UTF8PROC_COMPOSE, "NFC");
}

std::u32string nfkc(std::u32string_view text) {
  return normalised(text, UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT, "NFKC");
}

std::u32string without_accents(std::u32string_view text) {
  std::u32string out;
  for (const char32_t c : normalised(text, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE, "NFD"))
    if (utf8proc_category(static_cast<utf8proc_int32_t>(c)) != UTF8PROC_CATEGORY_MN) out.push_back(c);
  return out;
}

namespace {

/// The property Case_Ignorable: what may stand within a word without being a letter of it.
bool is_case_ignorable(char32_t c) {
  switch (c) {  // Word_Break=MidLetter, MidNumLet, Single_Quote
    case 0x27:
    case 0x2e:
    case 0x3a:
    case 0xb7:
    case 0x387:
    case 0x55f:
    case 0x5f4:
    case 0x2018:
    case 0x2019:
    case 0x2024:
    case 0x2027:
    case 0xfe13:
    case 0xfe52:
    case 0xfe55:
    case 0xff07:
    case 0xff0e:
    case 0xff1a:
      return true;
    default:
      break;
  }
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      return false;
  }
}

/// The property Cased, of characters that are not case-ignorable.
bool is_cased(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
      return true;
    default:  // Other_Lowercase and Other_Uppercase: ordinals, Roman numerals, letters in circles and squares
      return c == 0xaa || c == 0xba || (c >= 0x2160 && c <= 0x217f) || (c >= 0x24b6 && c <= 0x24e9) ||
             (c >= 0x1f130 && c <= 0x1f149) || (c >= 0x1f150 && c <= 0x1f169) ||
             (c >= 0x1f170 && c <= 0x1f189);
  }
}

/// Unicode's condition Final_Sigma for the capital sigma at `i`: a cased letter before it and none after it,
/// case-ignorable characters between them left out.
bool is_final_sigma(std::u32string_view text, size_t i) {
  size_t before = i, after = i + 1;
  while (before > 0 && is_case_ignorable(text[before - 1])) --before;
  if (before == 0 || !is_cased(text[before - 1])) return false;
  while (after < text.size() && is_case_ignorable(text[after])) ++after;
  return after == text.size() || !is_cased(text[after]);
}

}  // namespace

std::u32string lower_case(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    if (c == 0x130)  // the one code point whose lower case has two
      out += U"i\u0307";
    else if (c == 0x3a3)
      out.push_back(is_final_sigma(text, i) ? 0x3c2 : 0x3c3);
    else
      out.push_back(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
  }
  return out;
}

CharClass char_class(char32_t c) {
  if ((c >= 0x9 && c <= 0xd) || c == 0x85) return CharClass::Space;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return CharClass::Space;
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return CharClass::Letter;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return CharClass::Number;
    default:
      return CharClass::Other;
  }
}

bool is_space_separator(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_ZS;
}

bool is_control(char32_t c) {
  if (c == '\t' || c == '\n' || c == '\r') return false;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CS:
      return true;
    default:
      return false;
  }
}

bool is_punctuation(char32_t c) {
  if (c > ' ' && c < 0x7f)
    return !((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'));
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

}  // namespace t3d::diffusion
