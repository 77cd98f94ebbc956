#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace t3d::prior {

/// Learns CLIP's byte-pair encoding from captions (Sennrich et al. 2016, arXiv:1508.07909, algorithm 1) and
/// writes vocab.json, merges.txt and tokenizer_config.json. Merges the most frequent pair, the first in
/// alphabetical order among equals, until every word of the captions is one token or there are `most_merges`.
/// Words are runs of ASCII letters; everything else stays bytes.
void write_tokenizer(const std::string& folder, const std::vector<std::string>& captions, int64_t max_length,
                     int64_t most_merges);

/// Token numbers of captions whose lines are phrasings, all of them one after the other.
struct TokenTable {
  at::Tensor ids;                  ///< [phrasings + 1, L] int64; the last row is the empty caption
  std::vector<int64_t> first_row;  ///< [captions + 1]: caption i has rows first_row[i] .. first_row[i+1] - 1
  int64_t empty_row() const { return ids.size(0) - 1; }
};

/// Throws UserError when a caption is no UTF-8.
TokenTable tokenize(const std::string& tokenizer_folder, const std::vector<std::string>& captions);

}  // namespace t3d::prior
