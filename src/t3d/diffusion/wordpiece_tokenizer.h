#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace t3d::diffusion {

/// BERT's word pieces: Devlin et al. 2019, arXiv:1810.04805; the same ids as transformers' BertTokenizer.
/// Words are split at spaces and punctuation, and each into the longest pieces that the vocabulary has, from
/// the left; a word that cannot be split so is one unknown token.
class WordPieceTokenizer {
 public:
  /// Reads vocab.txt, a token per line, and do_lower_case, strip_accents and tokenize_chinese_chars from
  /// tokenizer_config.json, where there is one. Throws SystemError when a file cannot be read and UserError
  /// when it is not what its name says.
  static WordPieceTokenizer from_folder(const std::string& folder);

  /// `where` is what messages call the vocabulary.
  WordPieceTokenizer(std::string_view vocabulary, const std::string& where);

  /// The pieces of a text; no start and end. Special tokens written out in the text are text. Throws
  /// UserError for invalid UTF-8.
  std::vector<int64_t> encode(std::string_view text) const;
  /// The number of one token. Throws UserError when the vocabulary lacks it.
  int64_t id_of(const std::string& token) const;
  int64_t vocabulary_size() const { return static_cast<int64_t>(id_of_.size()); }

  bool lower_case = true;
  bool strip_accents = true;
  bool split_chinese = true;

 private:
  std::vector<std::u32string> words_of(std::string_view text) const;
  void append_pieces(std::vector<int64_t>& ids, const std::u32string& word) const;

  std::unordered_map<std::string, int64_t> id_of_;
  std::string where_;
  int64_t unknown_ = 0;
};

}  // namespace t3d::diffusion
