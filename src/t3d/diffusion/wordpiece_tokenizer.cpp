#include "t3d/diffusion/wordpiece_tokenizer.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/diffusion/json_reader.h"
#include "t3d/diffusion/unicode.h"
#include "t3d/io/json_file.h"

namespace t3d::diffusion {
namespace {

constexpr size_t kLongestWord = 100;  // code points; longer words are unknown
constexpr char32_t kReplacement = 0xFFFD;

/// The blocks of CJK ideographs, each of which is a word.
bool is_ideograph(char32_t c) {
  constexpr std::pair<char32_t, char32_t> kBlocks[] = {
      {0x4E00, 0x9FFF},   {0x3400, 0x4DBF},   {0x20000, 0x2A6DF}, {0x2A700, 0x2B73F},
      {0x2B740, 0x2B81F}, {0x2B820, 0x2CEAF}, {0xF900, 0xFAFF},   {0x2F800, 0x2FA1F}};
  for (const auto& [first, last] : kBlocks)
    if (c >= first && c <= last) return true;
  return false;
}

bool is_space(char32_t c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || is_space_separator(c);
}

}  // namespace

WordPieceTokenizer WordPieceTokenizer::from_folder(const std::string& folder) {
  const std::string path = folder + "/vocab.txt";
  WordPieceTokenizer out(read_whole_file(path, 64 << 20), path);
  const std::string options = folder + "/tokenizer_config.json";
  if (!std::filesystem::exists(options)) return out;
  const auto json = io::read_json_file(options);
  const JsonReader read(json, options);
  out.lower_case = read.truth("do_lower_case", true);
  out.strip_accents = read.truth("strip_accents", out.lower_case);
  out.split_chinese = read.truth("tokenize_chinese_chars", true);
  return out;
}

WordPieceTokenizer::WordPieceTokenizer(std::string_view vocabulary, const std::string& where)
    : where_(where) {
  int64_t line = 0;
  for (size_t begin = 0; begin < vocabulary.size(); ++line) {
    const size_t end = std::min(vocabulary.find('\n', begin), vocabulary.size());
    std::string token(vocabulary.substr(begin, end - begin));
    if (!token.empty() && token.back() == '\r') token.pop_back();
    if (!id_of_.emplace(std::move(token), line).second)
      throw UserError(cat(where, ": line ", line + 1,
                          " has a token that is there already. Get the vocabulary of the model again."));
    begin = end + 1;
  }
  unknown_ = id_of("[UNK]");
}

int64_t WordPieceTokenizer::id_of(const std::string& token) const {
  const auto place = id_of_.find(token);
  if (place == id_of_.end())
    throw UserError(cat(where_, ": lacks the token \"", token, "\" among its ", id_of_.size(),
                        ". Use a BERT model with an English vocabulary."));
  return place->second;
}

std::vector<std::u32string> WordPieceTokenizer::words_of(std::string_view text) const {
  std::u32string clean;
  for (char32_t c : nfc(decode_utf8(text, "the text"))) {
    if (is_space(c)) {
      clean.push_back(' ');
    } else if (c == 0 || c == kReplacement || is_control(c)) {
      continue;
    } else {
      clean.push_back(c);
    }
  }
  if (lower_case) clean = diffusion::lower_case(clean);
  if (strip_accents) clean = without_accents(clean);
  std::vector<std::u32string> words;
  bool goes_on = false;
  for (const char32_t c : clean) {
    const bool alone = is_punctuation(c) || (split_chinese && is_ideograph(c));
    if (c == ' ') {
      goes_on = false;
      continue;
    }
    if (alone || !goes_on) words.emplace_back();
    words.back().push_back(c);
    goes_on = !alone;
  }
  return words;
}

void WordPieceTokenizer::append_pieces(std::vector<int64_t>& ids, const std::u32string& word) const {
  if (word.size() > kLongestWord) return ids.push_back(unknown_);
  std::vector<int64_t> pieces;
  for (size_t begin = 0; begin < word.size();) {
    size_t end = word.size();
    for (; end > begin; --end) {
      const auto piece = id_of_.find((begin > 0 ? "##" : "") + encode_utf8(word.substr(begin, end - begin)));
      if (piece == id_of_.end()) continue;
      pieces.push_back(piece->second);
      break;
    }
    if (end == begin) return ids.push_back(unknown_);
    begin = end;
  }
  ids.insert(ids.end(), pieces.begin(), pieces.end());
}

std::vector<int64_t> WordPieceTokenizer::encode(std::string_view text) const {
  std::vector<int64_t> ids;
  for (const auto& word : words_of(text)) append_pieces(ids, word);
  return ids;
}

}  // namespace t3d::diffusion
