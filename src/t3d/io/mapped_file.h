#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace t3d::io {

/// A whole file, mapped into memory: pages are read when they are touched and belong to the page cache.
class MappedFile {
 public:
  /// Throws SystemError when the file cannot be read or mapped.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  /// Private and writable: writing changes this process's view of the page, never the file.
  char* data() const { return data_; }
  size_t n_bytes() const { return n_bytes_; }
  std::string_view bytes() const { return {data_, n_bytes_}; }

  /// Brings the pages of the range into memory in one call, where the system can.
  void populate(size_t begin, size_t end) const;
  /// Gives the pages that lie wholly inside the range back, so that they no longer count as resident. They
  /// are read again when they are touched again; what was written into them is lost.
  void release(size_t begin, size_t end) const;

 private:
  std::string path_;
  char* data_ = nullptr;
  size_t n_bytes_ = 0;
};

}  // namespace t3d::io
