#pragma once

#include <string>
#include <string_view>

/// The little of Unicode that prompts need, over utf8proc.
namespace t3d::diffusion {

/// Code points of a UTF-8 text. Throws UserError "`name` is not valid UTF-8: ..." at the first byte that
/// breaks a rule; overlong forms and surrogates do.
std::u32string decode_utf8(std::string_view text, const std::string& name);
std::string encode_utf8(std::u32string_view text);
void append_utf8(std::string& out, char32_t c);

/// Canonical composition, and compatibility composition (full width to normal width).
std::u32string nfc(std::u32string_view text);
std::u32string nfkc(std::u32string_view text);

/// The text decomposed, without its nonspacing marks: e for \u00e9.
std::u32string without_accents(std::u32string_view text);

/// Full lower case in context, as Python's str.lower: U+0130 becomes two code points, and a capital sigma at
/// a word's end the final one (Unicode's condition Final_Sigma, which skips what may stand within a word).
std::u32string lower_case(std::u32string_view text);

enum class CharClass { Space, Letter, Number, Other };
/// The property White_Space, the general categories L* and N*, and all else.
CharClass char_class(char32_t c);
/// The general categories Zs, C* (but not tab and line ends), and P* with all of ASCII's symbols.
bool is_space_separator(char32_t c);
bool is_control(char32_t c);
bool is_punctuation(char32_t c);

}  // namespace t3d::diffusion
