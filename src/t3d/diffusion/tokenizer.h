#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "t3d/diffusion/prompt_text.h"

namespace t3d::diffusion {

/// The printable character that stands for each byte in CLIP's vocabularies.
std::array<char32_t, 256> byte_characters();

/// One prompt as the text encoder takes it.
struct PromptTokens {
  std::vector<int64_t> ids;  ///< max_length of them: start, words, end, padding
  int64_t n_used = 0;        ///< up to and including the end token
  std::string cut;           ///< the words that did not fit, cleaned; empty when all did
};

/// The file that is meant by `path`: a checkout without symbolic links (git's core.symlinks=false) holds a
/// link as a short file that is the target's relative path.
std::string link_target(const std::string& path);

/// CLIP's byte-pair encoding: Sennrich et al. 2016, arXiv:1508.07909, over bytes, as openai/CLIP trained it.
/// The same ids as transformers' CLIPTokenizer; see docs/text_encoder.md for what that means for odd input.
class ClipTokenizer {
 public:
  /// Reads vocab.json and merges.txt, or tokenizer.json alone (a fast tokenizer of transformers, which has
  /// both inside), and which token pads from special_tokens_map.json or tokenizer_config.json, where there is
  /// one: 49407 for SD 1.x, 0 ("!") for SD 2.x. Throws SystemError when a file cannot be read and UserError
  /// when it is not what its name says.
  static ClipTokenizer from_folder(const std::string& folder);
  /// Whether a folder has such files.
  static bool is_folder(const std::string& folder);

  /// The same from texts. `folder` is what messages call the place.
  ClipTokenizer(const nlohmann::json& vocabulary, std::string_view merges, const std::string& folder);

  /// Start, words, end; any length. Throws UserError for invalid UTF-8 and texts above 1 MiB.
  std::vector<int64_t> encode(std::string_view text) const;
  /// The same, cut and padded to max_length(). What was cut is told, not hidden.
  PromptTokens encode_padded(std::string_view text) const;
  /// Text of ids, a space after each word; start, end and padding behind the end are left out.
  std::string decode(const std::vector<int64_t>& ids) const;

  void set_cleaning(PromptCleaning cleaning) { cleaning_ = cleaning; }
  int64_t start_id() const { return start_id_; }
  int64_t end_id() const { return end_id_; }
  int64_t pad_id() const { return pad_id_; }
  int64_t max_length() const { return max_length_; }
  int64_t vocabulary_size() const { return static_cast<int64_t>(tokens_.size()); }

 private:
  struct Merge {
    int32_t rank, id;
  };
  static ClipTokenizer from_fast_file(const std::string& file, const std::string& folder);
  void set_padding(const std::string& token, const std::string& file);
  void read_merges(std::string_view merges, const std::string& file);
  void append_word(std::vector<int64_t>& ids, const std::string& word) const;

  std::unordered_map<std::string, int32_t> id_of_;
  std::vector<std::string> tokens_;                 // by id
  std::unordered_map<uint64_t, Merge> merges_;      // (left id, right id)
  std::array<int32_t, 256> byte_id_{}, last_id_{};  // a byte inside a word, and one that ends it
  std::unordered_map<char32_t, uint8_t> byte_of_;
  int64_t start_id_ = 0, end_id_ = 0, pad_id_ = 0, max_length_ = 77;
  PromptCleaning cleaning_ = PromptCleaning::Diffusers;
};

}  // namespace t3d::diffusion
