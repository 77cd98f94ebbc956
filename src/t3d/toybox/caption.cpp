#include "t3d/toybox/caption.h"

#include <algorithm>

#include "t3d/core/text.h"
#include "t3d/toybox/palette.h"

namespace t3d::toybox {

std::string with_article(const std::string& words) {
  const bool vowel = std::string("aeio").find(words[0]) != std::string::npos || words.rfind("um", 0) == 0;
  return (vowel ? "an " : "a ") + words;
}

namespace {

const char* count_word(int n) {
  return n == 2 ? "two" : "three";
}

std::string noun(const Item& item) {
  return item.count > 1 ? item.kind->plural : item.kind->name;
}

/// "small shiny striped red mushroom"
std::string adjectives_and_noun(const Item& item) {
  std::string words;
  for (const std::string* word : {&item.size, &item.finish, &item.pattern, &item.colour})
    if (!word->empty()) words += *word + " ";
  return words + noun(item);
}

std::string counted(const Item& item, const std::string& words) {
  return item.count > 1 ? cat(count_word(item.count), " ", words) : with_article(words);
}

std::string second_part(const Item& item) {
  const std::string words = item.second + " " + item.kind->second;
  if (item.kind->is_second_plural) return words;
  return item.count > 1 ? item.second + " " + item.kind->second + "s" : with_article(words);
}

/// `style` 0: with; 1: that has; 2: comma.
std::string say(const Item& item, int style) {
  std::string text = counted(item, adjectives_and_noun(item));
  if (item.second.empty()) return text;
  const char* joint = style == 1   ? item.count > 1 ? " that have " : " that has "
                      : style == 2 ? ", "
                                   : " with ";
  return text + joint + second_part(item);
}

std::string say(const Description& d, int style) {
  std::string text = say(d.item, style);
  if (d.relation == Description::Relation::OnTopOf) text += " on top of ";
  if (d.relation == Description::Relation::NextTo) text += " next to ";
  return d.other ? text + say(*d.other, style) : text;
}

uint64_t hash_words(const std::string& words) {
  uint64_t h = 1469598103934665603ull;  // FNV-1a
  for (const char c : words) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  // Neighbours differ in the low bits alone: mix (splitmix64).
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ull;
  h = (h ^ (h >> 27)) * 0x94d049bb133111ebull;
  return h ^ (h >> 31);
}

bool is_held_out(const Item& item) {
  return hash_words(item.kind->name + "/" + item.colour + "/" + item.second) % 10 == 0;
}

template <class T>
const T& one_of(const std::vector<T>& list, Rng& rng) {
  return list[rng.below(static_cast<uint32_t>(list.size()))];
}

Item draw_item(Rng& rng, bool plain) {
  Item item;
  item.kind = &one_of(kinds(), rng);
  item.colour = one_of(palette(), rng).name;
  if (!item.kind->second.empty() && rng.uniform() < 0.85f) {
    do item.second = one_of(palette(), rng).name;
    while (item.second == item.colour);
  }
  if (rng.uniform() < 0.04f) item.colour.clear();
  if (plain) return item;
  if (rng.uniform() < 0.12f) item.size = one_of(size_words(), rng);
  if (rng.uniform() < 0.2f) item.finish = one_of(finish_words(), rng);
  if (rng.uniform() < 0.15f) item.pattern = one_of(pattern_words(), rng);
  if (item.pattern.size() && item.finish == "wooden") item.finish.clear();
  return item;
}

}  // namespace

const std::vector<std::string>& size_words() {
  static const std::vector<std::string> words = {"small", "tall", "flat"};
  return words;
}
const std::vector<std::string>& finish_words() {
  static const std::vector<std::string> words = {"matte", "shiny", "metallic", "wooden"};
  return words;
}
const std::vector<std::string>& pattern_words() {
  static const std::vector<std::string> words = {"striped", "dotted", "checkered"};
  return words;
}

std::string caption(const Description& description) {
  return say(description, 0);
}

std::string phrase(const Description& description, Rng& rng) {
  static const std::vector<std::string> forewords = {"a photo of ", "a 3d model of ", "a render of ",
                                                     "a DSLR photo of ", "an image of "};
  std::string text = say(description, rng.uniform() < 0.6f ? 0 : 1 + static_cast<int>(rng.below(2)));
  const float way = rng.uniform();
  if (way < 0.25f) return one_of(forewords, rng) + text;
  return way < 0.35f ? text + ", 3d asset" : text;
}

Description draw_description(Rng& rng) {
  Description d;
  const float way = rng.uniform();
  if (way < 0.1f) {
    d.item = draw_item(rng, true);
    d.item.count = 2 + static_cast<int>(rng.below(2));
  } else if (way < 0.1f + 1.0f / 7) {
    d.item = draw_item(rng, true);
    d.other = draw_item(rng, true);
    // Four colours in one caption are beyond a small model.
    d.item.second.clear();
    d.other->second.clear();
    d.relation = rng.below(2) ? Description::Relation::OnTopOf : Description::Relation::NextTo;
  } else {
    d.item = draw_item(rng, false);
  }
  return d;
}

bool is_held_out(const Description& d) {
  return is_held_out(d.item) || (d.other && is_held_out(*d.other));
}

uint64_t count_single_descriptions() {
  const uint64_t n_colours = palette().size() + 1;
  const uint64_t looks =
      (size_words().size() + 1) *
      ((finish_words().size() + 1) * (pattern_words().size() + 1) - pattern_words().size());
  uint64_t n = 0;
  for (const Kind& kind : kinds()) n += looks * n_colours * (kind.second.empty() ? 1 : n_colours);
  return n;
}

}  // namespace t3d::toybox
