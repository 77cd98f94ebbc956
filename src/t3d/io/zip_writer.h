#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace t3d::io {

/// A zip archive in memory, its entries deflated; the same entries give the same bytes. Format: PKWARE
/// APPNOTE 6.3, without zip64.
class ZipWriter {
 public:
  /// Throws UserError where the archive would grow beyond the 4 GiB that it can hold; `bytes` may be deleted
  /// afterwards.
  void add(const std::string& name, std::string_view bytes);
  /// The whole archive. Nothing can be added any more.
  std::string finish();

 private:
  struct Entry {
    std::string name;
    uint32_t crc = 0, packed = 0, size = 0, begin = 0;
  };
  std::string bytes_;
  std::vector<Entry> entries_;
};

}  // namespace t3d::io
