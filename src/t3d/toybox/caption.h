#pragma once

#include <optional>
#include <string>
#include <vector>

#include "t3d/core/rng.h"
#include "t3d/toybox/kind.h"

namespace t3d::toybox {

/// What a caption says about one object, or about several alike. Empty words were not said.
struct Item {
  const Kind* kind = nullptr;
  int count = 1;               ///< 1 to 3
  std::string size;            ///< "small", "tall", "flat"
  std::string finish;          ///< "matte", "shiny", "metallic", "wooden"
  std::string pattern;         ///< "striped", "dotted", "checkered"
  std::string colour, second;  ///< palette names
};

/// A whole caption: an item, and perhaps another below or beside it.
struct Description {
  enum class Relation { None, OnTopOf, NextTo };
  Item item;
  Relation relation = Relation::None;
  std::optional<Item> other;
};

const std::vector<std::string>& size_words();
const std::vector<std::string>& finish_words();
const std::vector<std::string>& pattern_words();

/// "an orange cat": the words with the right article.
std::string with_article(const std::string& words);
/// "a red mushroom with a white stem": the plain phrasing.
std::string caption(const Description& description);
/// One of the phrasings in which people say the same.
std::string phrase(const Description& description, Rng& rng);

/// The description that a text in the grammar stands for; upper case, commas and forewords like "a photo of"
/// do not matter. Throws UserError for other text: names the words that are not known or contradict each
/// other, and proposes the nearest caption.
Description parse_caption(const std::string& text);

/// A random description. Kinds are equally likely; a tenth of them are counts, a seventh relations.
Description draw_description(Rng& rng);

/// Whether the world keeps this from training: a tenth of all (kind, colour, second colour), of every item.
/// Colours that are not said are part of the combination.
bool is_held_out(const Description& description);

/// The number of different descriptions of one item, without counts and relations.
uint64_t count_single_descriptions();

}  // namespace t3d::toybox
