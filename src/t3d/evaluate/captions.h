#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace t3d::evaluate {

/// Captions of the toybox's held-out split, those that `t3d toybox captions --split held-out` prints.
std::vector<std::string> held_out_captions(int64_t n, uint64_t seed);

/// The lines of a text file but for empty ones. Throws UserError "file:line: ..." for text that is not UTF-8,
/// and when there is no caption; SystemError when the file cannot be read.
std::vector<std::string> read_captions(const std::string& path);

/// "held-out": held_out_captions(n, seed); anything else: read_captions.
std::vector<std::string> captions_from(const std::string& source, int64_t n, uint64_t seed);

/// For each caption: itself, then n - 1 other ones of the held-out split, all different.
class Candidates {
 public:
  /// A function of the arguments alone. n of at least 2.
  Candidates(const std::vector<std::string>& captions, int64_t n, uint64_t seed);

  /// Every text that occurs, once.
  const std::vector<std::string>& texts() const { return texts_; }
  /// Rows of texts() that caption i is compared with; its own comes first.
  const std::vector<int64_t>& rows_of(size_t i) const { return rows_[i]; }

 private:
  std::vector<std::string> texts_;
  std::vector<std::vector<int64_t>> rows_;
};

}  // namespace t3d::evaluate
