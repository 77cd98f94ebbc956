#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace t3d::train {

constexpr const char* kMarkFile = "COMPLETE";

/// The completion mark of a checkpoint: what the folder must hold, byte for byte.
struct CheckpointMark {
  struct File {
    uint64_t n_bytes = 0;
    uint32_t crc32c = 0;
  };
  int64_t step = 0;
  std::map<std::string, File> files;
  std::map<std::string, uint32_t> tensors;  ///< checksum of each tensor's bytes
};

/// A first line with the checksum of the rest, then JSON; see docs/checkpoints.md.
std::string mark_text(const CheckpointMark& mark);

/// Throws UserError when a single bit is not as mark_text wrote it.
CheckpointMark parse_mark(const std::string& text, const std::string& path);

/// "" when the folder holds what its mark says, otherwise why not. Gives the mark when it is readable.
std::string compare_with_mark(const std::string& folder, CheckpointMark& mark);

}  // namespace t3d::train
