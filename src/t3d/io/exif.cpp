#include "t3d/io/exif.h"

#include <cstring>

namespace t3d::io {
namespace {

/// A window of bytes; reads outside of it give 0.
struct Bytes {
  const uint8_t* data = nullptr;
  size_t n = 0;

  bool starts_with(const char* text, size_t length, size_t at = 0) const {
    return at <= n && n - at >= length && std::memcmp(data + at, text, length) == 0;
  }
  Bytes from(size_t at, size_t length = SIZE_MAX) const {
    if (at > n) return {};
    return {data + at, length < n - at ? length : n - at};
  }
  uint32_t number(size_t at, size_t width, bool big_endian) const {
    if (at > n || n - at < width) return 0;
    uint32_t value = 0;
    for (size_t i = 0; i < width; ++i)
      value |= uint32_t{data[at + i]} << (8 * (big_endian ? width - 1 - i : i));
    return value;
  }
};

/// EXIF's data is a TIFF file: byte order, 42, the place of a directory of 12-byte entries.
int orientation_of_tiff(Bytes tiff) {
  const bool is_big = tiff.starts_with("MM\0*", 4);
  if (!is_big && !tiff.starts_with("II*\0", 4)) return 1;
  const Bytes directory = tiff.from(tiff.number(4, 4, is_big));
  const uint32_t n_entries = directory.number(0, 2, is_big);
  for (uint32_t i = 0; i < n_entries; ++i) {
    const Bytes entry = directory.from(2 + size_t{12} * i, 12);
    if (entry.n < 12) break;
    constexpr uint32_t kOrientation = 0x0112, kShort = 3, kLong = 4;
    if (entry.number(0, 2, is_big) != kOrientation) continue;
    const uint32_t type = entry.number(2, 2, is_big);
    const uint32_t value = type == kShort  ? entry.number(8, 2, is_big)
                           : type == kLong ? entry.number(8, 4, is_big)
                                           : 0;
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

constexpr char kExifMark[] = {'E', 'x', 'i', 'f', 0, 0};

int orientation_of_jpeg(Bytes file) {
  size_t at = 2;
  while (at + 4 <= file.n) {
    if (file.data[at] != 0xff) break;
    const uint8_t marker = file.data[at + 1];
    if (marker == 0xff) {  // a filling byte
      ++at;
      continue;
    }
    if (marker == 0xda || marker == 0xd9) break;  // pixels, end
    const uint32_t length = file.number(at + 2, 2, true);
    if (length < 2) break;
    const Bytes content = file.from(at + 4, length - 2);
    if (marker == 0xe1 && content.starts_with(kExifMark, 6)) return orientation_of_tiff(content.from(6));
    at += 2 + size_t{length};
  }
  return 1;
}

int orientation_of_png(Bytes file) {
  for (size_t at = 8; at + 12 <= file.n;) {
    const size_t length = file.number(at, 4, true);
    if (file.starts_with("eXIf", 4, at + 4)) return orientation_of_tiff(file.from(at + 8, length));
    if (file.starts_with("IEND", 4, at + 4) || length > file.n) break;
    at += 12 + length;
  }
  return 1;
}

int orientation_of_webp(Bytes file) {
  for (size_t at = 12; at + 8 <= file.n;) {
    const size_t length = file.number(at + 4, 4, false);
    if (file.starts_with("EXIF", 4, at)) {
      const Bytes content = file.from(at + 8, length);
      return orientation_of_tiff(content.starts_with(kExifMark, 6) ? content.from(6) : content);
    }
    if (length > file.n) break;
    at += 8 + length + length % 2;
  }
  return 1;
}

}  // namespace

int exif_orientation(const uint8_t* bytes, size_t n_bytes) {
  const Bytes file{bytes, n_bytes};
  if (file.starts_with("\xff\xd8", 2)) return orientation_of_jpeg(file);
  if (file.starts_with("\x89PNG\r\n\x1a\n", 8)) return orientation_of_png(file);
  if (file.starts_with("RIFF", 4) && file.starts_with("WEBP", 4, 8)) return orientation_of_webp(file);
  return orientation_of_tiff(file);
}

Image8 upright(const Image8& stored, int orientation) {
  if (orientation <= 1 || orientation > 8 || stored.empty()) return stored;
  const bool swaps = exif_swaps_sides(orientation);
  Image8 out(swaps ? stored.height : stored.width, swaps ? stored.width : stored.height, stored.channels);
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x) {
      // Where the stored image has what belongs at (x,y).
      int from_x = swaps ? y : x, from_y = swaps ? x : y;
      if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8)
        from_x = stored.width - 1 - from_x;
      if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7)
        from_y = stored.height - 1 - from_y;
      std::memcpy(out.at(x, y), stored.at(from_x, from_y), static_cast<size_t>(stored.channels));
    }
  return out;
}

}  // namespace t3d::io
