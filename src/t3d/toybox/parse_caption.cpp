#include <algorithm>
#include <cctype>
#include <map>

#include "t3d/core/error.h"
#include "t3d/core/text.h"
#include "t3d/toybox/caption.h"
#include "t3d/toybox/palette.h"

namespace t3d::toybox {
namespace {

enum class Word {
  Article,
  Count,
  Size,
  Finish,
  Pattern,
  Colour,
  Kind,
  Part,
  With,
  And,
  OnTopOf,
  NextTo,
  Filler
};

struct Token {
  Word word;
  std::string text;
  int count = 1;  // of Count, and of a Kind: 2 for plurals
};

using Phrase = std::vector<std::string>;

std::vector<std::string> split_words(const std::string& text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text + " ") {
    const auto u = static_cast<unsigned char>(c);
    if (std::isalnum(u) || u >= 0x80 || c == '-' || c == '\'') {
      word += static_cast<char>(std::tolower(u));
    } else if (!word.empty()) {
      words.push_back(word);
      word.clear();
    }
  }
  return words;
}

/// Every phrase of the grammar, of one word or several.
const std::map<Phrase, Token>& lexicon() {
  static const std::map<Phrase, Token> table = [] {
    std::map<Phrase, Token> t;
    const auto put = [&t](const std::string& phrase, Word word, const std::string& text, int count = 1) {
      t.emplace(split_words(phrase), Token{word, text, count});
    };
    for (const Kind& kind : kinds()) {
      put(kind.name, Word::Kind, kind.name);
      put(kind.plural, Word::Kind, kind.name, 2);
      for (const std::string& other : kind.also) {
        put(other, Word::Kind, kind.name);
        put(other + "s", Word::Kind, kind.name, 2);
      }
    }
    for (const auto& colour : palette()) {
      put(colour.name, Word::Colour, colour.name);
      for (const std::string& other : colour.also) put(other, Word::Colour, colour.name);
    }
    for (const auto& word : size_words()) put(word, Word::Size, word);
    for (const char* word : {"little", "tiny"}) put(word, Word::Size, "small");
    for (const auto& word : finish_words()) put(word, Word::Finish, word);
    for (const char* word : {"glossy", "polished"}) put(word, Word::Finish, "shiny");
    put("metal", Word::Finish, "metallic");
    put("wood", Word::Finish, "wooden");
    for (const auto& word : pattern_words()) put(word, Word::Pattern, word);
    for (const char* word : {"spotted", "polka-dotted", "polka dot"}) put(word, Word::Pattern, "dotted");
    for (const char* word : {"checked", "chequered"}) put(word, Word::Pattern, "checkered");
    for (const char* word : {"a", "an", "the", "one", "its", "some"}) put(word, Word::Article, "");
    for (const char* word : {"two", "2"}) put(word, Word::Count, "", 2);
    for (const char* word : {"three", "3"}) put(word, Word::Count, "", 3);
    for (const char* word : {"with", "that has", "that have", "having", "which has"})
      put(word, Word::With, "");
    put("and", Word::And, "");
    for (const char* word : {"on top of", "on", "above"}) put(word, Word::OnTopOf, "");
    for (const char* word : {"next to", "beside", "near", "by"}) put(word, Word::NextTo, "");
    for (const char* word : {"photo of",        "photo",        "dslr",     "3d model of",  "model of",
                             "render of",       "rendering of", "image of", "picture of",   "3d asset",
                             "3d render of",    "3d",           "asset",    "toy",          "big",
                             "large",           "beautiful",    "cute",     "high quality", "detailed",
                             "highly detailed", "coloured",     "colored",  "patterned"})
      put(word, Word::Filler, "");
    return t;
  }();
  return table;
}

/// Words that name the second parts, for any kind: "stem", "legs", "leg".
std::vector<std::string> part_words() {
  std::vector<std::string> words;
  for (const Kind& kind : kinds())
    if (!kind.second.empty()) words.push_back(kind.second);
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  return words;
}

/// "legs" for "leg", "leg" for "legs".
std::string singular_or_plural(const std::string& word) {
  return word.back() == 's' ? word.substr(0, word.size() - 1) : word + "s";
}

/// Part names, which may also name kinds ("cone"): those are told apart by what stands before.
const std::map<Phrase, std::string>& part_lexicon() {
  static const std::map<Phrase, std::string> table = [] {
    std::map<Phrase, std::string> t;
    for (const std::string& part : part_words()) t.emplace(split_words(part), part);
    for (const std::string& part : part_words()) t.emplace(split_words(singular_or_plural(part)), part);
    return t;
  }();
  return table;
}

constexpr size_t kLongestPhrase = 3;

struct Reading {
  std::vector<Token> tokens;
  std::vector<std::string> unknown;
};

Reading read_tokens(const std::vector<std::string>& words) {
  Reading out;
  bool after_with = false;
  const Kind* kind = nullptr;
  for (size_t i = 0; i < words.size();) {
    bool found = false;
    for (size_t n = std::min(kLongestPhrase, words.size() - i); n > 0 && !found; --n) {
      const Phrase phrase(words.begin() + static_cast<long>(i), words.begin() + static_cast<long>(i + n));
      const auto part = part_lexicon().find(phrase);
      const auto entry = lexicon().find(phrase);
      if (part == part_lexicon().end() && entry == lexicon().end()) continue;
      // A word for both is a part after "with", and after the kind that has it ("an ice cream, brown cone").
      const bool is_own = part != part_lexicon().end() && kind &&
                          (kind->second == part->second || kind->second == singular_or_plural(part->second));
      if (part != part_lexicon().end() && (after_with || is_own || entry == lexicon().end())) {
        out.tokens.push_back({Word::Part, part->second});
      } else {
        out.tokens.push_back(entry->second);
        if (entry->second.word == Word::Kind) kind = find_kind(entry->second.text);
        if (entry->second.word == Word::With) after_with = true;
        if (entry->second.word == Word::OnTopOf || entry->second.word == Word::NextTo) after_with = false;
      }
      i += n;
      found = true;
    }
    if (!found) out.unknown.push_back(words[i++]);
  }
  return out;
}

[[noreturn]] void refuse(const std::string& text, const std::string& what, const std::string& proposal) {
  std::string shown = text.size() > 120 ? text.substr(0, 117) + "..." : text;
  throw UserError(cat("caption \"", shown, "\": ", what, ". ",
                      proposal.empty() ? std::string() : cat("The nearest caption is \"", proposal, "\". "),
                      "See t3d toybox vocabulary."));
}

/// One item from the tokens [begin, end); what is wrong comes back in `wrong`, and the item is what could be
/// understood all the same.
Item read_item(const std::vector<Token>& tokens, std::string& wrong) {
  Item item;
  const auto complain = [&wrong](const std::string& what) {
    if (wrong.empty()) wrong = what;
  };
  const auto set = [&](std::string& slot, const std::string& word, const char* what) {
    if (!slot.empty() && slot != word)
      complain(cat("says two ", what, ", ", slot, " and ", word, ", of one thing"));
    else
      slot = word;
  };
  std::string pending;  // a colour after the kind, waiting for its part
  std::string part;
  bool joined = false, plural = false;
  for (const Token& t : tokens) switch (t.word) {
      case Word::Count:
        item.count = t.count;
        break;
      case Word::Size:
        set(item.size, t.text, "sizes");
        break;
      case Word::Finish:
        set(item.finish, t.text, "finishes");
        break;
      case Word::Pattern:
        set(item.pattern, t.text, "patterns");
        break;
      case Word::And:
        joined = true;
        break;
      case Word::Colour:
        if (item.kind || joined)
          set(pending, t.text, "colours");
        else
          set(item.colour, t.text, "colours");
        break;
      case Word::Kind:
        if (item.kind)
          complain(cat("names two things, ", item.kind->name, " and ", t.text, ", without a relation"));
        else
          item.kind = find_kind(t.text);
        plural = t.count > 1;
        break;
      case Word::Part:
        if (!part.empty() && part != t.text) complain(cat("names two parts, ", part, " and ", t.text));
        part = t.text;
        break;
      default:
        break;
    }
  if (!item.kind) {
    complain("names no object");
    return item;
  }
  if (plural && item.count == 1 && item.kind->plural != item.kind->name) item.count = 2;
  if (!part.empty() && part != item.kind->second && singular_or_plural(part) != item.kind->second) {
    complain(item.kind->second.empty()
                 ? cat(with_article(item.kind->name), " has one colour and no ", part)
                 : cat(with_article(item.kind->name), " has no ", part, ", but ", item.kind->second));
  } else if (!part.empty() && pending.empty()) {
    // The kind has that part anyway.
  } else if (!pending.empty()) {
    if (item.kind->second.empty())
      complain(cat(with_article(item.kind->name), " has one colour"));
    else
      item.second = pending;
  }
  if (!item.pattern.empty() && item.finish == "wooden")
    complain("asks for a pattern on wood, which has its grain");
  return item;
}

Description read_description(const std::vector<Token>& tokens, std::string& wrong) {
  Description d;
  std::vector<std::vector<Token>> items(1);
  for (const Token& t : tokens) {
    if (t.word != Word::OnTopOf && t.word != Word::NextTo) {
      items.back().push_back(t);
      continue;
    }
    d.relation = t.word == Word::OnTopOf ? Description::Relation::OnTopOf : Description::Relation::NextTo;
    items.emplace_back();
  }
  if (items.size() > 2 && wrong.empty()) wrong = "relates more than two things";
  d.item = read_item(items[0], wrong);
  if (items.size() > 1) d.other = read_item(items[1], wrong);
  if (items.size() > 2) items.resize(2);
  return d;
}

/// The caption of what was understood, unknown words being replaced by near ones.
std::string nearest_caption(std::vector<std::string> words, const std::vector<std::string>& unknown) {
  std::vector<std::string> known;
  for (const auto& [phrase, token] : lexicon())
    if (phrase.size() == 1 && token.word != Word::Filler) known.push_back(phrase[0]);
  for (std::string& word : words)
    if (std::find(unknown.begin(), unknown.end(), word) != unknown.end())
      if (const std::string other = nearest(word, known); !other.empty()) word = other;
  std::string wrong;
  Description d = read_description(read_tokens(words).tokens, wrong);
  if (!d.item.kind && d.other && d.other->kind) {
    d.item = *d.other;
    d.other.reset();
    d.relation = Description::Relation::None;
  }
  if (d.other && !d.other->kind) {
    d.other.reset();
    d.relation = Description::Relation::None;
  }
  if (!d.item.kind) {
    if (d.item.colour.empty() && d.item.pattern.empty()) return "a red mushroom with a white stem";
    d.item.kind = find_kind("cube");
  }
  if (!d.item.pattern.empty() && d.item.finish == "wooden") d.item.finish.clear();
  return caption(d);
}

}  // namespace

Description parse_caption(const std::string& text) {
  const auto words = split_words(text);
  if (words.empty()) refuse(text, "is empty", "a red mushroom with a white stem");
  constexpr size_t kMaxWords = 40;
  if (words.size() > kMaxWords)
    refuse(text, cat("has ", words.size(), " words, at most ", kMaxWords, " are understood"), "");
  const Reading reading = read_tokens(words);
  if (!reading.unknown.empty()) {
    std::string list;
    for (const std::string& word : reading.unknown) list += (list.empty() ? "" : ", ") + word;
    refuse(text, cat("unknown ", reading.unknown.size() > 1 ? "words: " : "word: ", list),
           nearest_caption(words, reading.unknown));
  }
  std::string wrong;
  const Description d = read_description(reading.tokens, wrong);
  if (!wrong.empty()) refuse(text, wrong, nearest_caption(words, {}));
  return d;
}

}  // namespace t3d::toybox
