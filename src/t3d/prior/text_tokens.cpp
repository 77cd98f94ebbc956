#include "t3d/prior/text_tokens.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "t3d/core/atomic_file.h"
#include "t3d/diffusion/tokenizer.h"
#include "t3d/diffusion/unicode.h"
#include "t3d/io/json_file.h"

namespace t3d::prior {
namespace {

using Symbols = std::vector<std::string>;
using Pair = std::pair<std::string, std::string>;
constexpr const char* kWordEnd = "</w>";

struct Word {
  Symbols symbols;
  int64_t count = 0;
};

std::vector<Word> words_of(const std::vector<std::string>& captions) {
  std::map<std::string, int64_t> counts;
  std::string word;
  const auto end_word = [&] {
    if (!word.empty()) ++counts[word];
    word.clear();
  };
  for (const std::string& caption : captions) {
    for (const char c : caption) {
      const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      if (lower >= 'a' && lower <= 'z')
        word += lower;
      else
        end_word();
    }
    end_word();
  }
  std::vector<Word> words;
  for (const auto& [text, count] : counts) {
    Word w{{}, count};
    for (const char c : text) w.symbols.emplace_back(1, c);
    w.symbols.back() += kWordEnd;
    words.push_back(std::move(w));
  }
  return words;
}

void merge(Symbols& symbols, const Pair& pair) {
  size_t to = 0;
  for (size_t from = 0; from < symbols.size(); ++to) {
    const bool both =
        from + 1 < symbols.size() && symbols[from] == pair.first && symbols[from + 1] == pair.second;
    symbols[to] = both ? pair.first + pair.second : symbols[from];
    from += both ? 2 : 1;
  }
  symbols.resize(to);
}

std::vector<Pair> learn_merges(std::vector<Word> words, int64_t most_merges) {
  std::vector<Pair> merges;
  while (static_cast<int64_t>(merges.size()) < most_merges) {
    std::map<Pair, int64_t> counts;
    for (const Word& w : words)
      for (size_t i = 0; i + 1 < w.symbols.size(); ++i) counts[{w.symbols[i], w.symbols[i + 1]}] += w.count;
    if (counts.empty()) break;
    const auto best = std::max_element(counts.begin(), counts.end(), [](const auto& a, const auto& b) {
      return a.second < b.second;  // the first of equals
    });
    merges.push_back(best->first);
    for (Word& w : words) merge(w.symbols, merges.back());
  }
  return merges;
}

}  // namespace

void write_tokenizer(const std::string& folder, const std::vector<std::string>& captions, int64_t max_length,
                     int64_t most_merges) {
  nlohmann::json vocabulary = nlohmann::json::object();
  const auto add = [&](const std::string& token) { vocabulary.emplace(token, vocabulary.size()); };
  for (const char* end : {"", kWordEnd})
    for (const char32_t c : diffusion::byte_characters()) {
      std::string token;
      diffusion::append_utf8(token, c);
      add(token + end);
    }
  std::string lines = "#version: 0.2\n";
  for (const auto& [left, right] : learn_merges(words_of(captions), most_merges)) {
    add(left + right);
    lines += left + " " + right + "\n";
  }
  add("<|startoftext|>");
  add("<|endoftext|>");
  make_folders(folder);
  io::write_json_file(folder + "/vocab.json", vocabulary);
  write_file_atomically(folder + "/merges.txt", lines);
  io::write_json_file(folder + "/tokenizer_config.json", {{"tokenizer_class", "CLIPTokenizer"},
                                                          {"bos_token", "<|startoftext|>"},
                                                          {"eos_token", "<|endoftext|>"},
                                                          {"unk_token", "<|endoftext|>"},
                                                          {"pad_token", "<|endoftext|>"},
                                                          {"do_lower_case", true},
                                                          {"model_max_length", max_length}});
}

TokenTable tokenize(const std::string& tokenizer_folder, const std::vector<std::string>& captions) {
  const auto tokenizer = diffusion::ClipTokenizer::from_folder(tokenizer_folder);
  TokenTable out;
  std::vector<int64_t> ids;
  int64_t n_rows = 0;
  const auto append = [&](const std::string& text) {
    const auto tokens = tokenizer.encode_padded(text);
    ids.insert(ids.end(), tokens.ids.begin(), tokens.ids.end());
    ++n_rows;
  };
  for (const std::string& caption : captions) {
    out.first_row.push_back(n_rows);
    std::istringstream lines(caption);
    for (std::string line; std::getline(lines, line);) append(line);
  }
  out.first_row.push_back(n_rows);
  append("");
  out.ids = at::empty({n_rows, tokenizer.max_length()}, at::kLong);
  std::copy(ids.begin(), ids.end(), out.ids.data_ptr<int64_t>());
  return out;
}

}  // namespace t3d::prior
