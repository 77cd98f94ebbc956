#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "t3d/diffusion/tokenizer.h"
#include "t3d/diffusion/unicode.h"
#include "tests/golden/own_set.h"

/// A small vocabulary of CLIP's kind, and byte-pair encoding written out once more, the slow way.
namespace t3d::testing {
namespace {

using Words = std::vector<std::string>;
using Pair = std::pair<std::string, std::string>;

const Words kKnown{"a",     "the",  "of",   "cat", "cats", "teapot", "teapots", "owl",  "owls",
                   "green", "red",  "blue", "two", "view", "side",   "front",   "back", "overhead",
                   "photo", "lamp", "'s",   "ing", "..",   "'t",     "chair",   "grass"};
const std::string kStart = "<|startoftext|>", kEnd = "<|endoftext|>", kWordEnd = "</w>";

/// The bytes of a word as the vocabulary writes them, the last one marked.
Words letters_of(const std::string& word) {
  const auto characters = diffusion::byte_characters();
  Words letters;
  for (const char c : word) {
    letters.emplace_back();
    diffusion::append_utf8(letters.back(), characters[static_cast<unsigned char>(c)]);
  }
  letters.back() += kWordEnd;
  return letters;
}

/// Each known word from its front, letter by letter, in the order of the list.
std::vector<Pair> merges() {
  std::vector<Pair> out;
  for (const auto& word : kKnown) {
    const Words letters = letters_of(word);
    std::string front = letters.front();
    for (size_t i = 1; i < letters.size(); ++i) {
      const Pair merge{front, letters[i]};
      if (std::find(out.begin(), out.end(), merge) == out.end()) out.push_back(merge);
      front += letters[i];
    }
  }
  return out;
}

Words vocabulary() {
  const auto characters = diffusion::byte_characters();
  Words out;
  for (const char* end : {"", kWordEnd.c_str()})
    for (int byte = 0; byte < 256; ++byte) {
      // From the exclamation mark on, which fills up in Stable Diffusion 2: its number is 0.
      std::string token;
      diffusion::append_utf8(token, characters[static_cast<size_t>((byte + '!') % 256)]);
      out.push_back(token + end);
    }
  for (const auto& [front, letter] : merges())
    if (std::find(out.begin(), out.end(), front + letter) == out.end()) out.push_back(front + letter);
  out.push_back(kStart);
  out.push_back(kEnd);
  return out;
}

std::vector<int64_t> encode(const Words& words) {
  static const auto ranks = merges();
  static const auto tokens = vocabulary();
  const auto id = [&](const std::string& token) {
    return std::find(tokens.begin(), tokens.end(), token) - tokens.begin();
  };
  std::vector<int64_t> ids{id(kStart)};
  for (const auto& word : words) {
    Words parts = letters_of(word);
    while (true) {
      size_t best = ranks.size(), place = 0;
      for (size_t i = 0; i + 1 < parts.size(); ++i) {
        const auto rank = static_cast<size_t>(
            std::find(ranks.begin(), ranks.end(), Pair{parts[i], parts[i + 1]}) - ranks.begin());
        if (rank < best) best = rank, place = i;
      }
      if (best == ranks.size()) break;
      parts[place] += parts[place + 1];
      parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(place) + 1);
    }
    for (const auto& part : parts) ids.push_back(id(part));
  }
  ids.push_back(id(kEnd));
  return ids;
}

struct Prompt {
  std::string text;
  Words words;              ///< as diffusers' tokenizer splits it
  Words words_of_openai{};  ///< where its cleaning gives others
};

std::vector<Prompt> prompts() {
  Words many;
  std::string long_text;
  for (int i = 0; i < 12; ++i) {
    many.insert(many.end(), {"green", "owls"});
    long_text += "green owls ";
  }
  return {{"", {}},
          {"  \t\n ", {}},
          {"a cat", {"a", "cat"}},
          {"Two GREEN  teapots", {"two", "green", "teapots"}},
          {"the cats' 42 lamps!?", {"the", "cats", "'", "4", "2", "lamps", "!?"}},
          {"an owl's view, overhead...", {"an", "owl", "'s", "view", ",", "overhead", "..."}},
          {"don't", {"don", "'t"}},
          {"caf\xc3\xa9 \xc3\x89t\xc3\xa9", {"caf\xc3\xa9", "\xc3\xa9t\xc3\xa9"}},
          {"\xf0\x9f\x90\xb6 a photo", {"\xf0\x9f\x90\xb6", "a", "photo"}},
          {"a &amp; the", {"a", "&", "amp", ";", "the"}, {"a", "&", "the"}},
          {long_text, many}};
}

}  // namespace

int64_t vocabulary_size() {
  return static_cast<int64_t>(vocabulary().size());
}

void write_tokenizer(const OwnSet& set, const std::string& folder, const std::string& pads) {
  auto ids = nlohmann::json::object();
  for (const auto& token : vocabulary()) ids[token] = ids.size();
  std::string lines = "#version: 0.2\n";
  for (const auto& [front, letter] : merges()) lines += front + " " + letter + "\n";
  set.write_json(folder + "/vocab.json", ids);
  set.write_text(folder + "/merges.txt", lines);
  set.write_json(folder + "/tokenizer_config.json", {{"tokenizer_class", "CLIPTokenizer"},
                                                     {"bos_token", kStart},
                                                     {"eos_token", kEnd},
                                                     {"unk_token", kEnd},
                                                     {"pad_token", pads},
                                                     {"do_lower_case", true},
                                                     {"model_max_length", kPromptLength}});
}

void add_tokenizer_cases(OwnSet& set) {
  auto cases = nlohmann::json::array();
  for (const auto& prompt : prompts()) {
    const auto ids = encode(prompt.words);
    nlohmann::json one{{"text", prompt.text}, {"ids", ids}};
    if (!prompt.words_of_openai.empty()) one["ids_openai"] = encode(prompt.words_of_openai);
    if (static_cast<int64_t>(ids.size()) > kPromptLength) {
      auto cut = ids;
      cut.resize(static_cast<size_t>(kPromptLength));
      cut.back() = ids.back();
      one[cat("ids_truncated_", kPromptLength)] = cut;
    }
    cases.push_back(one);
  }
  const std::string file = "tokenizer_cases.json";
  set.write_json(file, {{"prompts", cases}});
  set.set_options(file, {{"tokenizer", "sd1-tiny/tokenizer"},
                         {"model_max_length", kPromptLength},
                         {"pad_token_id", {{"sd1-tiny", vocabulary_size() - 1}, {"sd2-tiny", 0}}}});
}

}  // namespace t3d::testing
