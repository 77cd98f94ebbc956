#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "t3d/io/mapped_file.h"
#include "t3d/io/safetensors_header.h"

namespace t3d::io {

/// A file in the safetensors format, mapped into memory. Every rule of the format is checked by the
/// constructor, before anything is allocated by a size that the file names; see docs/safetensors.md.
class SafetensorsFile {
 public:
  /// Throws SystemError when the file cannot be read and UserError when it breaks a rule: the message names
  /// file, tensor, what was found and what was expected.
  explicit SafetensorsFile(const std::string& path);

  const std::string& path() const { return path_; }
  /// Sorted by name.
  const std::vector<SafetensorsEntry>& entries() const { return header_.entries; }
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }
  std::vector<std::string> names() const;
  bool contains(const std::string& name) const;
  /// Throws UserError for an unknown name, suggesting the nearest.
  const SafetensorsEntry& entry(const std::string& name) const;
  /// The tensor's bytes as they are in the file; valid as long as this object lives.
  std::string_view bytes(const std::string& name) const;

  /// A CPU tensor over the mapped file, without a copy; it keeps the mapping alive by itself. Meant for
  /// reading: writing into it changes this process's view of the file, never the file. Data that is not
  /// aligned for its type is copied; 8-bit floats (F8_*) become float16, which has all of their values.
  /// Throws UserError for a type that is not read.
  at::Tensor tensor(const std::string& name) const;
  /// The same in memory of its own.
  at::Tensor copy(const std::string& name) const;
  /// Brings the pages that `tensor` reads from into memory at once instead of one by one.
  void populate(const std::string& name) const;
  /// Gives back the memory of the pages that `tensor` was read from; they are read again when touched again.
  void release(const std::string& name) const;

 private:
  std::string path_;
  std::shared_ptr<const MappedFile> file_;
  SafetensorsHeader header_;
};

/// What was written, for completion marks.
struct SafetensorsReceipt {
  uint64_t n_bytes = 0;
  uint32_t file_crc32c = 0;
  std::map<std::string, uint32_t> tensor_crc32c;  ///< of each tensor's bytes
};

/// Writes tensor after tensor, each copied to the CPU only when its turn comes, without a buffer of the whole
/// file. The same tensors give the same bytes: larger element types first, then by name; the header is padded
/// with spaces to a multiple of 8. Complete or absent (AtomicFile). Throws UserError for a type that the
/// format does not have, SystemError when the disk says no.
SafetensorsReceipt write_safetensors(const std::string& path,
                                     const std::map<std::string, at::Tensor>& tensors,
                                     const std::map<std::string, std::string>& metadata = {});

/// A tensor that is made only when its turn to be written comes, and freed afterwards.
struct PlannedTensor {
  std::string name;
  at::ScalarType dtype = at::ScalarType::Float;
  std::vector<int64_t> shape;
  std::function<at::Tensor()> make;  ///< gives a tensor of this type and shape
};

/// The same file for models larger than memory: at most one tensor exists at a time.
SafetensorsReceipt write_safetensors(const std::string& path, std::vector<PlannedTensor> tensors,
                                     const std::map<std::string, std::string>& metadata = {});

}  // namespace t3d::io
