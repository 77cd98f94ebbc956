#pragma once

#include <zlib.h>

#include <cstdint>
#include <string>
#include <vector>

/// Small encoders of image files that t3d reads and does not write, for tests. Pixels are RGB or RGBA, top
/// row first, unless a function says otherwise.
namespace t3d::testing {

inline void put_little(std::string& out, uint64_t value, int width) {
  for (int i = 0; i < width; ++i) out += static_cast<char>(value >> 8 * i);
}
inline void put_big(std::string& out, uint64_t value, int width) {
  for (int i = width - 1; i >= 0; --i) out += static_cast<char>(value >> 8 * i);
}

/// A PNG of any colour type and depth from its raw rows (without filter bytes); `extra`: chunks before the
/// pixels.
inline std::string png_bytes(int width, int height, int depth, int colour_type, const std::string& rows,
                             const std::vector<std::pair<std::string, std::string>>& extra = {}) {
  std::string out = "\x89PNG\r\n\x1a\n";
  const auto chunk = [&out](const std::string& type, const std::string& content) {
    put_big(out, content.size(), 4);
    const std::string body = type + content;
    out += body;
    put_big(out, crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size())), 4);
  };
  std::string header;
  put_big(header, static_cast<uint64_t>(width), 4), put_big(header, static_cast<uint64_t>(height), 4);
  header += {static_cast<char>(depth), static_cast<char>(colour_type), 0, 0, 0};
  chunk("IHDR", header);
  for (const auto& [type, content] : extra) chunk(type, content);
  std::string filtered;
  const size_t stride = rows.size() / static_cast<size_t>(height);
  for (int y = 0; y < height; ++y) filtered += '\0' + rows.substr(static_cast<size_t>(y) * stride, stride);
  uLongf n = compressBound(filtered.size());
  std::string packed(n, '\0');
  compress(reinterpret_cast<Bytef*>(packed.data()), &n, reinterpret_cast<const Bytef*>(filtered.data()),
           filtered.size());
  chunk("IDAT", packed.substr(0, n));
  chunk("IEND", "");
  return out;
}

/// 24 bits for RGB, 32 for RGBA; `top_down` writes a negative height.
inline std::string bmp_bytes(int width, int height, int channels, const std::string& pixels,
                             bool top_down = false) {
  const int row = (width * channels + 3) / 4 * 4;
  std::string out = "BM";
  put_little(out, static_cast<uint64_t>(54 + row * height), 4), put_little(out, 0, 4), put_little(out, 54, 4);
  put_little(out, 40, 4), put_little(out, static_cast<uint64_t>(width), 4);
  put_little(out, static_cast<uint64_t>(top_down ? -height : height), 4), put_little(out, 1, 2);
  put_little(out, static_cast<uint64_t>(8 * channels), 2);
  out += std::string(24, '\0');
  for (int i = 0; i < height; ++i) {
    const int y = top_down ? i : height - 1 - i;
    for (int x = 0; x < width; ++x) {
      const std::string p =
          pixels.substr(static_cast<size_t>((y * width + x) * channels), static_cast<size_t>(channels));
      out += {p[2], p[1], p[0]};
      if (channels == 4) out += p[3];
    }
    out += std::string(static_cast<size_t>(row - width * channels), '\0');
  }
  return out;
}

/// Version 1 of the format, without a footer: RGB, RGBA or grey, from the top; `packed`: as runs of one
/// pixel.
inline std::string tga_bytes(int width, int height, int channels, const std::string& pixels,
                             bool packed = false) {
  std::string out(18, '\0');
  out[2] = static_cast<char>((channels == 1 ? 3 : 2) + (packed ? 8 : 0));
  out[12] = static_cast<char>(width), out[14] = static_cast<char>(height);
  out[16] = static_cast<char>(8 * channels), out[17] = static_cast<char>(0x20 | (channels == 4 ? 8 : 0));
  for (size_t i = 0; i < pixels.size(); i += static_cast<size_t>(channels)) {
    const std::string p = pixels.substr(i, static_cast<size_t>(channels));
    if (packed) out += '\x80';
    if (channels == 1) out += p;
    if (channels >= 3) out += {p[2], p[1], p[0]};
    if (channels == 4) out += p[3];
  }
  return out;
}

/// Up to 128 colours, `indices` one a pixel and frame; the codes are cleared before they grow, so that each
/// is a byte.
inline std::string gif_bytes(int width, int height, const std::string& palette,
                             const std::vector<std::string>& frames) {
  std::string out = "GIF89a";
  put_little(out, static_cast<uint64_t>(width), 2), put_little(out, static_cast<uint64_t>(height), 2);
  out += {static_cast<char>(0xf6), 0, 0};
  out += palette + std::string(3 * 128 - palette.size(), '\0');
  for (const std::string& indices : frames) {
    out += ',';
    put_little(out, 0, 4), put_little(out, static_cast<uint64_t>(width), 2);
    put_little(out, static_cast<uint64_t>(height), 2);
    out += {0, 7};
    std::string codes;
    for (size_t i = 0; i < indices.size(); ++i) {
      if (i % 100 == 0) codes += '\x80';
      codes += indices[i];
    }
    codes += '\x81';
    for (size_t i = 0; i < codes.size(); i += 255) {
      const std::string block = codes.substr(i, 255);
      out += static_cast<char>(block.size()) + block;
    }
    out += '\0';
  }
  return out + ';';
}

/// An uncompressed TIFF of one strip. `samples` are the bytes of the rows in the file's byte order; `tags`
/// are further SHORT tags.
struct TiffTags {
  int depth = 8, samples = 3, photometric = 2;
  bool big_endian = false;
  std::vector<std::pair<int, int>> more;  // in ascending order, above 279
  int orientation = 1;
};
inline std::string tiff_bytes(int width, int height, const std::string& samples, const TiffTags& tags) {
  std::string out = tags.big_endian ? "MM" : "II";
  const auto put = [&](uint64_t v, int n) { tags.big_endian ? put_big(out, v, n) : put_little(out, v, n); };
  put(42, 2), put(8, 4);
  const size_t n_tags = 10 + tags.more.size(), n_header = 8 + 2 + 12 * n_tags + 4;
  put(n_tags, 2);
  const auto tag = [&](int id, int type, uint64_t value, uint64_t count = 1) {
    put(static_cast<uint64_t>(id), 2), put(static_cast<uint64_t>(type), 2), put(count, 4);
    if (type == 3) put(value, 2), put(0, 2);
    if (type == 4) put(value, 4);
  };
  // Bits per sample are one number where all agree; readers take it for each sample.
  tag(256, 4, static_cast<uint64_t>(width)), tag(257, 4, static_cast<uint64_t>(height));
  tag(258, 3, static_cast<uint64_t>(tags.depth)), tag(259, 3, 1);
  tag(262, 3, static_cast<uint64_t>(tags.photometric)), tag(273, 4, n_header);
  tag(274, 3, static_cast<uint64_t>(tags.orientation));
  tag(277, 3, static_cast<uint64_t>(tags.samples)), tag(278, 4, static_cast<uint64_t>(height));
  tag(279, 4, samples.size());
  for (const auto& [id, value] : tags.more) tag(id, 3, static_cast<uint64_t>(value));
  put(0, 4);
  return out + samples;
}

/// A JPEG of 8x8 pixels of one colour, with a value from 0 to 255 for each of 1, 3 (YCbCr) or 4 components.
inline std::string flat_jpeg_bytes(const std::vector<int>& values, const std::string& adobe_marker = "") {
  std::string out = "\xff\xd8";
  const auto segment = [&out](int marker, const std::string& content) {
    out += '\xff', out += static_cast<char>(marker);
    put_big(out, content.size() + 2, 2);
    out += content;
  };
  if (!adobe_marker.empty()) segment(0xee, adobe_marker);
  segment(0xdb, '\0' + std::string(64, 8));
  const char n = static_cast<char>(values.size());
  std::string frame("\x08\0\x08\0\x08", 5), scan(1, n), dc(17, '\0'), ac(17, '\0');
  frame += n;
  for (char c = 1; c <= n; ++c) frame += {c, 0x11, 0}, scan += {c, 0};
  segment(0xc0, frame);
  dc[4] = 9, ac[1] = 1,
  ac[0] = 0x10;  // nine codes of four bits: sizes 0 to 8; one code of one bit: end of block
  for (char c = 0; c < 9; ++c) dc += c;
  segment(0xc4, dc), segment(0xc4, ac + '\0');
  segment(0xda, scan + std::string("\0\x3f\0", 3));
  std::string bits;
  for (const int component : values) {
    const int v = component - 128, magnitude = v < 0 ? -v : v;
    int size = 0;
    while (magnitude >> size != 0) ++size;
    for (int b = 3; b >= 0; --b) bits += static_cast<char>('0' + (size >> b & 1));
    const int value = v < 0 ? v + (1 << size) - 1 : v;
    for (int b = size - 1; b >= 0; --b) bits += static_cast<char>('0' + (value >> b & 1));
    bits += '0';
  }
  while (bits.size() % 8 != 0) bits += '1';
  for (size_t i = 0; i < bits.size(); i += 8) {
    int byte = 0;
    for (size_t b = 0; b < 8; ++b) byte = 2 * byte + (bits[i + b] - '0');
    out += static_cast<char>(byte);
    if (byte == 0xff) out += '\0';
  }
  return out + "\xff\xd9";
}

/// One CMYK colour as Adobe's programs write it: marked, and inverted.
inline std::string cmyk_jpeg_bytes(const std::vector<int>& inks) {
  std::vector<int> inverted;
  for (const int ink : inks) inverted.push_back(255 - ink);
  return flat_jpeg_bytes(inverted, std::string("Adobe\0\x64\0\0\0\0\0", 12));
}

}  // namespace t3d::testing
