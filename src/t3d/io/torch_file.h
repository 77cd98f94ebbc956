#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "t3d/io/float8.h"
#include "t3d/io/mapped_file.h"
#include "t3d/io/pickle.h"

namespace t3d::io {

/// One tensor of a PyTorch file: a strided view of a storage, which other tensors may share.
struct TorchEntry {
  at::ScalarType dtype = at::ScalarType::Float;  ///< as it is stored; bytes for 8-bit floats
  std::optional<Float8> float8;                  ///< what those bytes are
  std::vector<int64_t> shape, strides;
  int64_t offset = 0;      ///< elements from the storage's start
  uint64_t begin = 0;      ///< of the storage in the file
  uint64_t n_storage = 0;  ///< bytes of the storage
};

/// A file written by torch.save, both containers: zip (since PyTorch 1.6) and legacy. It is mapped, not read;
/// the pickle inside is interpreted by read_pickle, which runs no code. Format: docs/model_files.md.
///
/// Tensors are found in nested dicts and lists and named by their keys joined with dots. When the root is a
/// dict with a dict under "state_dict" (Lightning, ldm), the names are those inside it; else the whole root
/// is taken. Objects of foreign classes hold no tensors for us.
class TorchFile {
 public:
  /// Throws SystemError when the file cannot be read and UserError when it is damaged, cut off, of another
  /// format, or holds a view that reaches past its storage. Allocates nothing by a size that the file names.
  explicit TorchFile(const std::string& path);

  const std::string& path() const { return file_->path(); }
  std::vector<std::string> names() const;
  bool contains(const std::string& name) const { return entries_.count(name) > 0; }
  /// Throws UserError for an unknown name, suggesting the nearest.
  const TorchEntry& entry(const std::string& name) const;

  /// A CPU tensor over the mapped file, without a copy, with the file's strides; it keeps the mapping alive.
  /// Data that is not aligned for its type is copied; 8-bit floats are converted to float16, which has them
  /// all.
  at::Tensor tensor(const std::string& name) const;
  /// Gives back the memory of the pages that `tensor` was read from.
  void release(const std::string& name) const;

  /// All that the file holds beside tensors: epoch, global_step, hyper-parameters.
  const PickleValue& root() const { return pickle_.root(); }

 private:
  struct Reader;
  at::Tensor stored(const TorchEntry& entry, const std::string& name) const;
  std::shared_ptr<const MappedFile> file_;
  Pickle pickle_;
  std::map<std::string, TorchEntry> entries_;
};

}  // namespace t3d::io
