#include "t3d/io/zip_archive.h"

#include <zlib.h>

#include <algorithm>

#include "t3d/core/error.h"

namespace t3d::io {
namespace {

constexpr uint32_t kLocalMark = 0x04034b50, kCentralMark = 0x02014b50, kEndMark = 0x06054b50,
                   kEnd64Mark = 0x06064b50, kLocator64Mark = 0x07064b50;
constexpr size_t kLocalSize = 30, kCentralSize = 46, kEndSize = 22, kEnd64Size = 56, kLocator64Size = 20;
constexpr uint64_t kStored = 0, kDeflated = 8;
constexpr uint64_t kMostOfDeflate = 1032;  // bytes that one packed byte can stand for
constexpr uint64_t kMostUnpacked = uint64_t{1} << 31;

/// Little-endian number at `at`; the caller has checked that it lies inside.
uint64_t number(std::string_view bytes, size_t at, int n_bytes) {
  uint64_t value = 0;
  for (int i = n_bytes; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

struct Directory {
  uint64_t begin = 0, n_bytes = 0, n_entries = 0;
};

/// What the central directory says of one entry.
struct Record {
  ZipEntry entry;
  uint64_t header = 0;  ///< where its local header begins
};

class Parser {
 public:
  Parser(std::string_view bytes, const std::string& path, ZipEntries taken)
      : bytes_(bytes), path_(path), takes_deflated_(taken == ZipEntries::StoredOrDeflated) {}

  std::vector<Record> records() {
    const Directory directory = find_directory();
    std::vector<Record> records;
    size_t at = directory.begin;
    const size_t end = directory.begin + directory.n_bytes;
    // The count is not trusted: entries are read as long as the directory's bytes last.
    while (at < end) records.push_back(read_record(at, end));
    if (records.size() != directory.n_entries)
      fail(
          cat("its directory has ", records.size(), " entries, but ", directory.n_entries, " are announced"));
    for (Record& record : records) place(record, directory.begin);
    check_overlaps(records);
    return records;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw UserError(cat(path_, ": damaged zip archive: ", what, ". Get the file again."));
  }
  bool inside(uint64_t begin, uint64_t n) const {
    return begin <= bytes_.size() && n <= bytes_.size() - begin;
  }

  Directory find_directory() const {
    if (bytes_.size() < kEndSize) fail("it is too short");
    const size_t last = bytes_.size() - kEndSize;
    const size_t first = last > 0xffff ? last - 0xffff : 0;
    for (size_t at = last + 1; at-- > first;) {
      if (number(bytes_, at, 4) != kEndMark || at + kEndSize + number(bytes_, at + 20, 2) != bytes_.size())
        continue;
      Directory found{number(bytes_, at + 16, 4), number(bytes_, at + 12, 4), number(bytes_, at + 10, 2)};
      uint64_t limit = at;
      const bool is_zip64 = at >= kLocator64Size && number(bytes_, at - kLocator64Size, 4) == kLocator64Mark;
      if (is_zip64) {
        const uint64_t end64 = number(bytes_, at - kLocator64Size + 8, 8);
        if (!inside(end64, kEnd64Size) || number(bytes_, end64, 4) != kEnd64Mark)
          fail(cat("its zip64 end record is not at byte ", end64));
        found = {number(bytes_, end64 + 48, 8), number(bytes_, end64 + 40, 8), number(bytes_, end64 + 32, 8)};
        limit = end64;
      }
      if (found.begin > limit || found.n_bytes > limit - found.begin)
        fail(cat("its directory of ", found.n_bytes, " bytes at byte ", found.begin,
                 " is not inside the file"));
      return found;
    }
    throw UserError(cat(path_, ": the zip archive has no end: it is cut off after ", bytes_.size(),
                        " bytes. Get the file again."));
  }

  Record read_record(size_t& at, size_t end) const {
    if (end - at < kCentralSize || number(bytes_, at, 4) != kCentralMark)
      fail(cat("no directory entry at byte ", at));
    const uint64_t flags = number(bytes_, at + 8, 2), method = number(bytes_, at + 10, 2);
    uint64_t packed = number(bytes_, at + 20, 4), size = number(bytes_, at + 24, 4);
    const size_t n_name = number(bytes_, at + 28, 2), n_extra = number(bytes_, at + 30, 2),
                 n_comment = number(bytes_, at + 32, 2);
    uint64_t header = number(bytes_, at + 42, 4);
    const auto checksum = static_cast<uint32_t>(number(bytes_, at + 16, 4));
    if (end - at - kCentralSize < n_name + n_extra + n_comment)
      fail(cat("the directory entry at byte ", at, " is cut off"));
    const std::string name(bytes_.substr(at + kCentralSize, n_name));
    read_extra(bytes_.substr(at + kCentralSize + n_name, n_extra), size, packed, header);
    check_name(name);
    if ((flags & 1) != 0)
      throw UserError(cat(path_, ": entry ", name, " is encrypted. Save the file without a password."));
    const bool is_deflated = method == kDeflated && takes_deflated_;
    if (method != kStored && takes_deflated_ && !is_deflated)
      throw UserError(cat(path_, ": entry ", name, " is compressed by method ", method,
                          "; deflate (8) was expected. Save the file with numpy.savez_compressed."));
    if (method != kStored && !is_deflated)
      throw UserError(
          cat(path_, ": entry ", name, " is compressed (method ", method,
              "), which PyTorch never does. If the archive holds the file that you mean, unpack it "
              "and name that; else load and save the file with PyTorch."));
    if (is_deflated && (size / kMostOfDeflate > packed || size > kMostUnpacked))
      fail(cat("entry ", name, " takes ", packed, " bytes and claims to hold ", size));
    if (!is_deflated && packed != size)
      fail(cat("entry ", name, " takes ", packed, " bytes and claims to hold ", size));
    at += kCentralSize + n_name + n_extra + n_comment;
    return {{name, 0, size, packed, is_deflated, checksum}, header};
  }

  /// Zip64's numbers stand in for those that are all ones, in this order.
  void read_extra(std::string_view extra, uint64_t& size, uint64_t& packed, uint64_t& header) const {
    while (extra.size() >= 4) {
      const uint64_t id = number(extra, 0, 2), n = number(extra, 2, 2);
      if (n > extra.size() - 4) fail("an extra field is cut off");
      if (id == 1) {
        std::string_view fields = extra.substr(4, n);
        for (uint64_t* value : {&size, &packed, &header}) {
          if (*value != 0xffffffff) continue;
          if (fields.size() < 8) fail("a zip64 field is cut off");
          *value = number(fields, 0, 8);
          fields.remove_prefix(8);
        }
      }
      extra.remove_prefix(4 + n);
    }
  }

  void check_name(const std::string& name) const {
    bool bad = name.empty() || name[0] == '/' || name.find('\\') != std::string::npos ||
               name.find('\0') != std::string::npos || name.find(':') != std::string::npos;
    for (size_t at = 0; !bad && at <= name.size();) {
      const size_t slash = std::min(name.find('/', at), name.size());
      bad = name.compare(at, slash - at, "..") == 0;
      at = slash + 1;
    }
    if (bad)
      throw UserError(cat(path_, ": entry \"", name.substr(0, 200),
                          "\" would lie outside the archive's folder; PyTorch does not write such names. Do "
                          "not trust this file."));
  }

  /// The local header says where the bytes begin; all of it lies before the directory.
  void place(Record& record, uint64_t limit) const {
    const uint64_t header = record.header;
    if (header > limit || limit - header < kLocalSize || number(bytes_, header, 4) != kLocalMark)
      fail(cat("entry ", record.entry.name, " has no header at byte ", header));
    const uint64_t skipped = kLocalSize + number(bytes_, header + 26, 2) + number(bytes_, header + 28, 2);
    if (skipped > limit - header || record.entry.n_packed > limit - header - skipped)
      fail(cat("entry ", record.entry.name, " of ", record.entry.n_packed, " bytes at byte ", header,
               " runs past the data"));
    record.entry.begin = header + skipped;
  }

  void check_overlaps(std::vector<Record>& records) const {
    std::sort(records.begin(), records.end(),
              [](const Record& a, const Record& b) { return a.header < b.header; });
    for (size_t i = 1; i < records.size(); ++i) {
      const ZipEntry& before = records[i - 1].entry;
      if (records[i].header < before.begin + before.n_packed)
        fail(cat("entries ", before.name, " and ", records[i].entry.name, " overlap"));
    }
  }

  std::string_view bytes_;
  const std::string& path_;
  bool takes_deflated_;
};

}  // namespace

bool ZipArchive::looks_like_zip(std::string_view start) {
  return start.size() >= 4 && (number(start, 0, 4) == kLocalMark || number(start, 0, 4) == kEndMark);
}

ZipArchive::ZipArchive(std::shared_ptr<const MappedFile> file, ZipEntries taken) : file_(std::move(file)) {
  for (Record& record : Parser(file_->bytes(), path(), taken).records())
    entries_.push_back(std::move(record.entry));
  std::sort(entries_.begin(), entries_.end(),
            [](const ZipEntry& a, const ZipEntry& b) { return a.name < b.name; });
  for (size_t i = 1; i < entries_.size(); ++i)
    if (entries_[i].name == entries_[i - 1].name)
      throw UserError(cat(path(), ": damaged zip archive: entry ", entries_[i].name,
                          " is there twice. Get the file again."));
}

std::string ZipArchive::unpacked(const ZipEntry& entry) const {
  const std::string_view packed = bytes(entry);
  if (!entry.is_deflated) return std::string(packed);
  // One byte more than is wanted, so that a stream that goes on is seen.
  std::string out(entry.n_bytes + 1, '\0');
  z_stream stream{};
  const bool is_ready = inflateInit2(&stream, -MAX_WBITS) == Z_OK;  // no header, as zip has it
  T3D_CHECK(is_ready, "zlib does not start");
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  // zlib counts in 32 bits.
  constexpr uint64_t kMost = uint64_t{1} << 30;
  uint64_t n_in = packed.size(), n_out = out.size();
  int state = Z_OK;
  while (state == Z_OK && (stream.avail_in > 0 || n_in > 0) && (stream.avail_out > 0 || n_out > 0)) {
    if (stream.avail_in == 0) n_in -= stream.avail_in = static_cast<uInt>(std::min(n_in, kMost));
    if (stream.avail_out == 0) n_out -= stream.avail_out = static_cast<uInt>(std::min(n_out, kMost));
    state = inflate(&stream, Z_NO_FLUSH);
  }
  const bool is_whole =
      state == Z_STREAM_END && stream.total_out == entry.n_bytes &&
      crc32_z(0, reinterpret_cast<const Bytef*>(out.data()), entry.n_bytes) == entry.checksum;
  inflateEnd(&stream);
  if (!is_whole)
    throw UserError(cat(path(), ": damaged zip archive: entry ", entry.name, " does not unpack to the ",
                        entry.n_bytes, " bytes that it claims to hold. Get the file again."));
  out.resize(entry.n_bytes);
  return out;
}

const ZipEntry* ZipArchive::find(const std::string& name) const {
  const auto place =
      std::lower_bound(entries_.begin(), entries_.end(), name,
                       [](const ZipEntry& entry, const std::string& wanted) { return entry.name < wanted; });
  return place != entries_.end() && place->name == name ? &*place : nullptr;
}

}  // namespace t3d::io
