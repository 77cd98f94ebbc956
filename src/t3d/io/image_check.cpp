#include "t3d/io/image_check.h"

#include <zlib.h>

#include <cstring>
#include <optional>

#include "t3d/core/error.h"

namespace t3d::io {
namespace {

uint32_t big_32(const uint8_t* p) {
  return uint32_t{p[0]} << 24 | uint32_t{p[1]} << 16 | uint32_t{p[2]} << 8 | uint32_t{p[3]};
}
uint32_t big_16(const uint8_t* p) {
  return uint32_t{p[0]} << 8 | uint32_t{p[1]};
}
uint32_t little_16(const uint8_t* p) {
  return uint32_t{p[1]} << 8 | uint32_t{p[0]};
}
uint32_t little_32(const uint8_t* p) {
  return little_16(p + 2) << 16 | little_16(p);
}

[[noreturn]] void throw_cut_short(const EncodedImage& file) {
  throw UserError(
      cat(file.name, ": the file ends before the image does; it was cut short. Copy or render it again."));
}

/// A Huffman table has at most 256 symbols; stb 2.28 trusts the file and writes past its array.
void check_huffman_tables(const uint8_t* segment, size_t n, const std::string& name) {
  size_t at = 0;
  while (at < n) {
    size_t n_symbols = 0;
    for (size_t i = 1; i <= 16 && at + i < n; ++i) n_symbols += segment[at + i];
    if (n - at < 17 + n_symbols || n_symbols > 256)
      throw UserError(cat(name, ": this JPEG's Huffman tables are damaged. Copy it again."));
    at += 17 + n_symbols;
  }
}

}  // namespace

CheckedImage check_png(const EncodedImage& file, bool header_only) {
  const uint8_t* bytes = file.bytes;
  if (file.n < 33) throw_cut_short(file);
  if (std::memcmp(bytes + 12, "IHDR", 4) != 0)
    throw UserError(cat(file.name, ": this PNG does not begin with its header chunk; it is damaged."));
  const CheckedImage size = {big_32(bytes + 16), big_32(bytes + 20)};
  size_t at = 8;
  while (!header_only) {
    if (file.n - at < 12) throw_cut_short(file);
    const size_t length = big_32(bytes + at);
    if (length > file.n - at - 12) throw_cut_short(file);
    const uLong sum = crc32(crc32(0, nullptr, 0), bytes + at + 4, static_cast<uInt>(length + 4));
    if (sum != big_32(bytes + at + 8 + length))
      throw UserError(cat(file.name, ": the checksum of the PNG chunk at byte ", at,
                          " does not fit its content; the file is damaged. Copy or render it again."));
    if (std::memcmp(bytes + at + 4, "IEND", 4) == 0) break;
    at += 12 + length;
  }
  return size;
}

CheckedImage check_jpeg(const EncodedImage& file, bool header_only) {
  const uint8_t* bytes = file.bytes;
  const size_t n = file.n;
  std::optional<CheckedImage> size;
  bool has_scan = false, is_adobe = false;
  size_t at = 2;
  while (true) {
    // The next marker. In a scan's data 0xff is followed by 0 (a stuffed byte) or a restart marker.
    while (at < n && bytes[at] != 0xff) ++at;
    while (at < n && bytes[at] == 0xff) ++at;
    if (at >= n) throw_cut_short(file);
    const uint8_t marker = bytes[at++];
    if (marker <= 0x01 || (marker >= 0xd0 && marker <= 0xd8)) continue;  // no length
    if (marker == 0xd9) break;
    const size_t length = n - at < 2 ? 0 : big_16(bytes + at);
    if (length < 2 || length > n - at) throw_cut_short(file);
    const bool is_frame =
        marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
    if (marker == 0xee && length >= 7 && std::memcmp(bytes + at + 2, "Adobe", 5) == 0) is_adobe = true;
    if (is_frame && length >= 8 && !size) {
      if (bytes[at + 7] == 4 && !is_adobe)
        throw UserError(
            cat(file.name, ": this JPEG is CMYK and does not say how its inks are meant. Save it as RGB."));
      size = CheckedImage{big_16(bytes + at + 5), big_16(bytes + at + 3)};
      if (header_only) return *size;
    }
    if (marker == 0xc4) check_huffman_tables(bytes + at + 2, length - 2, file.name);
    has_scan = has_scan || marker == 0xda;
    at += length;
  }
  if (!size || !has_scan) throw_cut_short(file);
  return *size;
}

CheckedImage check_bmp(const EncodedImage& file) {
  const uint8_t* b = file.bytes;
  const uint64_t offset = little_32(b + 10), header = little_32(b + 14);
  const bool is_old = header == 12;  // OS/2: sides of 16 bits, no compression
  if (!is_old && (header < 40 || file.n < 54))
    throw UserError(cat(file.name, ": this BMP's header is damaged. Save it again."));
  CheckedImage size;
  size.width = is_old ? little_16(b + 18) : little_32(b + 18);
  const auto height = static_cast<int32_t>(is_old ? little_16(b + 20) : little_32(b + 22));
  size.height =
      height < 0 ? uint64_t(-int64_t{height}) : uint64_t(height);  // below 0: the first row is the top
  const uint64_t depth = little_16(b + (is_old ? 24 : 28));
  const uint32_t compression = is_old ? 0 : little_32(b + 30);
  if (compression != 0 && compression != 3)
    throw UserError(
        cat(file.name, ": a compressed BMP is not read. Save it again without compression, or as PNG."));
  if (size.width < (1u << 24) && size.height < (1u << 24) && depth <= 32) {
    const uint64_t row = (depth * size.width + 31) / 32 * 4;
    if (offset > file.n || row * size.height > file.n - offset) throw_cut_short(file);
  }
  return size;
}

CheckedImage check_gif(const EncodedImage& file) {
  const uint8_t* b = file.bytes;
  if (file.n < 13) throw_cut_short(file);
  CheckedImage size = {little_16(b + 6), little_16(b + 8), 0};
  const auto palette = [](uint8_t flags) { return (flags & 0x80) != 0 ? size_t{3} << ((flags & 7) + 1) : 0; };
  size_t at = 13 + palette(b[10]);
  const auto skip_blocks = [&] {
    while (at < file.n && b[at] != 0) at += size_t{1} + b[at];
    ++at;
    return at <= file.n;
  };
  while (size.n_images < 2) {
    const bool is_whole = at < file.n;
    if (!is_whole || b[at] == 0x3b) break;
    if (b[at] == 0x21) {
      at += 2;
      if (!skip_blocks()) break;
    } else if (b[at] == 0x2c) {
      if (file.n - at < 11) break;
      at += 10 + palette(b[at + 9]) + 1;
      if (!skip_blocks()) break;
      ++size.n_images;
    } else {
      break;
    }
  }
  if (size.n_images == 0) throw_cut_short(file);
  return size;
}

CheckedImage check_tga(const EncodedImage& file) {
  const uint8_t* b = file.bytes;
  const CheckedImage size = {little_16(b + 12), little_16(b + 14)};
  const size_t n_palette = b[1] == 1 ? little_16(b + 5) * size_t{(b[7] + 7u) / 8u} : 0;
  const size_t depth = (b[16] + 7u) / 8u;
  size_t at = size_t{18} + b[0] + n_palette;
  const uint64_t n_pixels = size.width * size.height;
  if (b[2] < 8) {
    if (at > file.n || n_pixels * depth > file.n - at) throw_cut_short(file);
    return size;
  }
  for (uint64_t n = 0; n < n_pixels;) {
    if (at >= file.n) throw_cut_short(file);
    const uint64_t count = (b[at] & 0x7fu) + 1;
    const bool is_run = (b[at] & 0x80) != 0;
    at += 1 + (is_run ? depth : count * depth);
    n += count;
    if (at > file.n) throw_cut_short(file);
  }
  return size;
}

}  // namespace t3d::io
