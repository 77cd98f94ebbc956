#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "t3d/io/mapped_file.h"

namespace t3d::io {

/// One file inside an archive; it lies at [begin, begin + n_packed) of the archive.
struct ZipEntry {
  std::string name;
  uint64_t begin = 0, n_bytes = 0;  ///< of the file itself
  uint64_t n_packed = 0;            ///< in the archive: the same where the file is stored as it is
  bool is_deflated = false;
  uint32_t checksum = 0;  ///< CRC-32 of the file, as the archive has it
};

/// Which entries are taken: PyTorch's are stored as they are, NumPy's (savez_compressed) deflated.
enum class ZipEntries { Stored, StoredOrDeflated };

/// A zip archive of the kind that PyTorch and NumPy write, zip64 or not. Opening unpacks nothing: entries are
/// views of the mapped file. Format: PKWARE APPNOTE 6.3.
class ZipArchive {
 public:
  /// Throws UserError, beginning with the file's path, when a record lies outside the file or on another one,
  /// when a name is absolute, climbs ("..") or is there twice, for encrypted entries, and for compressed ones
  /// that `taken` leaves out. A stored entry cannot claim more bytes than the archive has, a deflated one not
  /// more than deflate can have packed into its bytes.
  explicit ZipArchive(std::shared_ptr<const MappedFile> file, ZipEntries taken = ZipEntries::Stored);

  /// True when the file starts as a zip archive does.
  static bool looks_like_zip(std::string_view start);

  const std::string& path() const { return file_->path(); }
  /// Sorted by name.
  const std::vector<ZipEntry>& entries() const { return entries_; }
  /// nullptr when there is none of this name.
  const ZipEntry* find(const std::string& name) const;
  /// As they lie in the archive: of a stored entry, the file.
  std::string_view bytes(const ZipEntry& entry) const {
    return file_->bytes().substr(entry.begin, entry.n_packed);
  }
  /// The file, unpacked where that is needed. Throws UserError when what is packed is damaged, which the
  /// checksum says, too; that of a stored entry is not looked at.
  std::string unpacked(const ZipEntry& entry) const;

 private:
  std::shared_ptr<const MappedFile> file_;
  std::vector<ZipEntry> entries_;
};

}  // namespace t3d::io
