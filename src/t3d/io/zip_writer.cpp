#include "t3d/io/zip_writer.h"

#include <zlib.h>

#include <cstdint>

#include "t3d/core/error.h"

namespace t3d::io {
namespace {

constexpr uint64_t kMostBytes = 0xffffffffu;
constexpr int kDeflated = 8, kVersion = 20, kFirstOf1980 = 0x21;

void put_number(std::string& out, uint64_t value, int n_bytes) {
  for (int i = 0; i < n_bytes; ++i) out += static_cast<char>(value >> (8 * i) & 255);
}

/// Without zlib's header.
std::string deflated(std::string_view bytes) {
  z_stream stream{};
  T3D_CHECK(
      deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK,
      "zlib's deflateInit2");
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int state = deflate(&stream, Z_FINISH);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  T3D_CHECK(state == Z_STREAM_END, "zlib's deflate returned ", state);
  return out;
}

/// What local and central headers have in common, from the version on.
template <class Entry>
void put_header(std::string& out, const Entry& entry) {
  put_number(out, kVersion, 2);
  put_number(out, 0, 2);  // flags
  put_number(out, kDeflated, 2);
  put_number(out, 0, 2);  // midnight
  put_number(out, kFirstOf1980, 2);
  put_number(out, entry.crc, 4);
  put_number(out, entry.packed, 4);
  put_number(out, entry.size, 4);
  put_number(out, entry.name.size(), 2);
  put_number(out, 0, 2);  // extra
}

}  // namespace

void ZipWriter::add(const std::string& name, std::string_view bytes) {
  const auto refuse_if = [&](uint64_t n_bytes) {
    if (n_bytes > kMostBytes)
      throw UserError(cat(name, ": the archive would need ", human_bytes(static_cast<double>(n_bytes)),
                          " and holds at most 4 GiB. Decimate the mesh, or write another format."));
  };
  refuse_if(bytes.size());
  const std::string packed = deflated(bytes);
  refuse_if(bytes_.size() + packed.size() + 4096);
  Entry entry;
  entry.name = name;
  entry.crc = static_cast<uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
  entry.packed = static_cast<uint32_t>(packed.size());
  entry.size = static_cast<uint32_t>(bytes.size());
  entry.begin = static_cast<uint32_t>(bytes_.size());
  put_number(bytes_, 0x04034b50, 4);
  put_header(bytes_, entry);
  bytes_ += name + packed;
  entries_.push_back(std::move(entry));
}

std::string ZipWriter::finish() {
  const size_t begin = bytes_.size();
  for (const Entry& entry : entries_) {
    put_number(bytes_, 0x02014b50, 4);
    put_number(bytes_, kVersion, 2);
    put_header(bytes_, entry);
    put_number(bytes_, 0, 2);  // comment
    put_number(bytes_, 0, 2);  // disk
    put_number(bytes_, 0, 2);  // internal attributes
    put_number(bytes_, 0, 4);  // external attributes
    put_number(bytes_, entry.begin, 4);
    bytes_ += entry.name;
  }
  const size_t end = bytes_.size();
  put_number(bytes_, 0x06054b50, 4);
  put_number(bytes_, 0, 4);  // disks
  put_number(bytes_, entries_.size(), 2);
  put_number(bytes_, entries_.size(), 2);
  put_number(bytes_, end - begin, 4);
  put_number(bytes_, begin, 4);
  put_number(bytes_, 0, 2);  // comment
  return std::move(bytes_);
}

}  // namespace t3d::io
