#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace t3d {

/// A file that appears whole or not at all: written beside its target under a temporary name, flushed to the
/// disk, renamed over the target, and the folder flushed. Until commit() returns, and after any failure, the
/// target is what it was before. Small writes are collected; large ones go straight through.
class AtomicFile {
 public:
  /// Creates the temporary file, and the folder when it does not exist. A symbolic link keeps pointing at the
  /// same place: what it points to is replaced. Throws SystemError.
  explicit AtomicFile(const std::string& path);
  /// Removes the temporary file unless commit() has succeeded.
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Throws SystemError (full disk, I/O error); the file cannot be used after that.
  void write(const void* data, size_t n_bytes);
  void write(std::string_view bytes) { write(bytes.data(), bytes.size()); }
  /// Makes the file visible under its name. Throws SystemError.
  void commit();

  const std::string& path() const { return path_; }
  uint64_t n_bytes() const { return n_bytes_; }

 private:
  void flush();

  std::string path_, target_, temporary_, buffer_;
  uint64_t n_bytes_ = 0;
  int fd_ = -1;
  bool is_renamed_ = false;
};

/// The whole of `bytes` under `path`, or an exception and no change.
void write_file_atomically(const std::string& path, std::string_view bytes);

/// The folder and all its parents. Throws SystemError, also when a file is in the way.
void make_folders(const std::string& path);

/// The whole file. Throws SystemError when it cannot be read and UserError when it is larger than
/// `max_bytes`.
std::string read_whole_file(const std::string& path, uint64_t max_bytes = uint64_t{1} << 30);

}  // namespace t3d
