#include "t3d/diffusion/prompt_text.h"

#include <cstdint>
#include <utility>

#include "t3d/diffusion/unicode.h"

namespace t3d::diffusion {
namespace {

struct Spelling {
  char32_t from;
  const char32_t* to;
};

/// Letters that fonts join, and typographic quotes.
constexpr Spelling kPlain[] = {
    {0x0132, U"IJ"},      {0x0133, U"ij"},      {0x0149, U"\u02bcn"}, {0x01f1, U"DZ"},      {0x01f2, U"Dz"},
    {0x01f3, U"dz"},      {0x01c4, U"D\u017d"}, {0x01c5, U"D\u017e"}, {0x01c6, U"d\u017e"}, {0x01c7, U"LJ"},
    {0x01c8, U"Lj"},      {0x01c9, U"lj"},      {0x01ca, U"NJ"},      {0x01cb, U"Nj"},      {0x01cc, U"nj"},
    {0xfb00, U"ff"},      {0xfb01, U"fi"},      {0xfb02, U"fl"},      {0xfb03, U"ffi"},     {0xfb04, U"ffl"},
    {0xfb05, U"\u017ft"}, {0xfb06, U"st"},      {0x02bc, U"'"},       {0x2018, U"'"},       {0x2019, U"'"},
    {0x201a, U"'"},       {0x201b, U"'"},       {0x201c, U"\""},      {0x201d, U"\""},      {0x201e, U"\""},
    {0x201f, U"\""},      {0x3000, U" "},
};

bool is_dropped(char32_t c) {
  return c < 0x9 || c == 0xb || (c >= 0xe && c < 0x20) || c == 0x7f || (c >= 0x206a && c <= 0x206f) ||
         c == 0xfeff || (c >= 0xfff9 && c <= 0xfffc);
}

std::u32string spelled_plainly(std::u32string_view text) {
  std::u32string out;
  for (const char32_t c : text) {
    if (is_dropped(c)) continue;
    const Spelling* found = nullptr;
    for (const Spelling& s : kPlain)
      if (s.from == c) found = &s;
    if (found != nullptr)
      out += found->to;
    else if (c >= 0xff01 && c <= 0xffef)
      out += nfkc(std::u32string_view(&c, 1));
    else
      out.push_back(c);
  }
  return out;
}

/// The code point after `text[i]` == '#', and how many characters it took; 0 when there is none.
std::pair<char32_t, size_t> numeric_entity(std::u32string_view text) {
  const bool hex = text.size() > 1 && (text[1] == U'x' || text[1] == U'X');
  size_t i = hex ? 2 : 1;
  const size_t first = i;
  uint32_t value = 0;
  for (; i < text.size(); ++i) {
    const char32_t c = text[i];
    uint32_t digit = 0;
    if (c >= U'0' && c <= U'9')
      digit = c - U'0';
    else if (hex && ((c | 32) >= U'a' && (c | 32) <= U'f'))
      digit = (c | 32) - U'a' + 10;
    else
      break;
    if (value <= 0x10ffff) value = value * (hex ? 16 : 10) + digit;
  }
  if (i == first) return {0, 0};
  if (i < text.size() && text[i] == U';') ++i;
  const bool valid = value != 0 && value <= 0x10ffff && (value < 0xd800 || value > 0xdfff);
  return {valid ? value : 0xfffd, i};
}

std::u32string without_entities(std::u32string_view text) {
  constexpr std::pair<std::u32string_view, char32_t> kNamed[] = {
      {U"amp;", U'&'}, {U"lt;", U'<'}, {U"gt;", U'>'}, {U"quot;", U'"'}, {U"apos;", U'\''}, {U"nbsp;", 0xa0},
      {U"amp", U'&'},  {U"lt", U'<'},  {U"gt", U'>'},  {U"quot", U'"'},  {U"nbsp", 0xa0}};
  std::u32string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != U'&') {
      out.push_back(text[i]);
      continue;
    }
    const auto rest = text.substr(i + 1);
    std::pair<char32_t, size_t> entity{0, 0};
    if (!rest.empty() && rest[0] == U'#') entity = numeric_entity(rest);
    for (const auto& [name, c] : kNamed)
      if (entity.second == 0 && rest.substr(0, name.size()) == name) entity = {c, name.size()};
    out.push_back(entity.second == 0 ? U'&' : entity.first);
    i += entity.second;
  }
  return out;
}

size_t contraction_at(std::u32string_view rest) {
  constexpr std::u32string_view kAll[] = {U"'s", U"'t", U"'re", U"'ve", U"'m", U"'ll", U"'d"};
  for (const auto& one : kAll)
    if (rest.substr(0, one.size()) == one) return one.size();
  return 0;
}

size_t whole_at(std::u32string_view rest, const std::vector<std::u32string>& whole) {
  for (const auto& one : whole)
    if (!one.empty() && rest.substr(0, one.size()) == one) return one.size();
  return 0;
}

}  // namespace

std::u32string clean_prompt(std::string_view text, PromptCleaning cleaning) {
  std::u32string points = decode_utf8(text, "the prompt");
  if (cleaning == PromptCleaning::OpenClip)
    points = without_entities(without_entities(nfc(spelled_plainly(points))));
  else
    points = nfc(points);
  std::u32string out;
  out.reserve(points.size());
  for (const char32_t c : points) {
    if (char_class(c) != CharClass::Space)
      out.push_back(c);
    else if (!out.empty() && out.back() != U' ')
      out.push_back(U' ');
  }
  if (!out.empty() && out.back() == U' ') out.pop_back();
  return lower_case(out);
}

std::vector<std::u32string> split_prompt(std::u32string_view text, const std::vector<std::u32string>& whole) {
  std::vector<std::u32string> words;
  for (size_t i = 0; i < text.size();) {
    const CharClass kind = char_class(text[i]);
    if (kind == CharClass::Space) {
      ++i;
      continue;
    }
    size_t n = whole_at(text.substr(i), whole);
    if (n == 0) n = contraction_at(text.substr(i));
    if (n == 0) {
      n = 1;
      while (kind != CharClass::Number && i + n < text.size() && char_class(text[i + n]) == kind &&
             whole_at(text.substr(i + n), whole) == 0)
        ++n;
    }
    words.emplace_back(text.substr(i, n));
    i += n;
  }
  return words;
}

}  // namespace t3d::diffusion
