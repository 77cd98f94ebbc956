#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "t3d/io/mapped_file.h"

namespace t3d::io {

/// One file inside an archive; its bytes lie at [begin, begin + n_bytes) of the archive.
struct ZipEntry {
  std::string name;
  uint64_t begin = 0, n_bytes = 0;
};

/// A zip archive of the kind that PyTorch writes: entries stored without compression, zip64 or not. Nothing
/// is ever unpacked: entries are views of the mapped file. Format: PKWARE APPNOTE 6.3.
class ZipArchive {
 public:
  /// Throws UserError, beginning with the file's path, when a record lies outside the file or on another one,
  /// when a name is absolute, climbs ("..") or is there twice, and for compressed or encrypted entries, which
  /// PyTorch never writes: so no archive can claim more bytes than it has.
  explicit ZipArchive(std::shared_ptr<const MappedFile> file);

  /// True when the file starts as a zip archive does.
  static bool looks_like_zip(std::string_view start);

  const std::string& path() const { return file_->path(); }
  /// Sorted by name.
  const std::vector<ZipEntry>& entries() const { return entries_; }
  /// nullptr when there is none of this name.
  const ZipEntry* find(const std::string& name) const;
  std::string_view bytes(const ZipEntry& entry) const {
    return file_->bytes().substr(entry.begin, entry.n_bytes);
  }

 private:
  std::shared_ptr<const MappedFile> file_;
  std::vector<ZipEntry> entries_;
};

}  // namespace t3d::io
