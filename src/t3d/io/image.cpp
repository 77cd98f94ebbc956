#include "t3d/io/image.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/io/exif.h"
#include "t3d/io/image_stb.h"

namespace t3d::io {
namespace {

constexpr uint8_t kPngSignature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
constexpr uint64_t kMaxFileBytes = uint64_t{1} << 30;

uint32_t big_endian_32(const uint8_t* p) {
  return uint32_t{p[0]} << 24 | uint32_t{p[1]} << 16 | uint32_t{p[2]} << 8 | uint32_t{p[3]};
}
uint32_t big_endian_16(const uint8_t* p) {
  return uint32_t{p[0]} << 8 | uint32_t{p[1]};
}

bool is_png(const uint8_t* bytes, size_t n) {
  return n >= 8 && std::memcmp(bytes, kPngSignature, 8) == 0;
}
bool is_jpeg(const uint8_t* bytes, size_t n) {
  return n >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8;
}

std::string cut_short(const std::string& name) {
  return cat(name, ": the file ends before the image does; it was cut short. Copy or render it again.");
}

struct Size {
  uint64_t width = 0, height = 0;
};

/// The size a PNG's header gives. Also walks the chunks and compares their checksums: stb does not look at
/// them.
Size check_png(const uint8_t* bytes, size_t n, const std::string& name, bool header_only) {
  if (n < 33) throw UserError(cut_short(name));
  if (std::memcmp(bytes + 12, "IHDR", 4) != 0)
    throw UserError(cat(name, ": this PNG does not begin with its header chunk; it is damaged."));
  const Size size = {big_endian_32(bytes + 16), big_endian_32(bytes + 20)};
  size_t at = 8;
  while (!header_only) {
    if (n - at < 12) throw UserError(cut_short(name));
    const size_t length = big_endian_32(bytes + at);
    if (length > n - at - 12) throw UserError(cut_short(name));
    const uLong sum = crc32(crc32(0, nullptr, 0), bytes + at + 4, static_cast<uInt>(length + 4));
    const std::string type(reinterpret_cast<const char*>(bytes + at + 4), 4);
    if (sum != big_endian_32(bytes + at + 8 + length))
      throw UserError(cat(name, ": the checksum of the PNG chunk at byte ", at,
                          " does not fit its content; the file is damaged. Copy or render it again."));
    if (type == "IEND") break;
    at += 12 + length;
  }
  return size;
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

/// The size in a JPEG's frame header. Walks the segments up to the end marker.
Size check_jpeg(const uint8_t* bytes, size_t n, const std::string& name, bool header_only) {
  std::optional<Size> size;
  bool has_scan = false;
  size_t at = 2;
  while (true) {
    // The next marker. In a scan's data 0xff is followed by 0 (a stuffed byte) or a restart marker.
    while (at < n && bytes[at] != 0xff) ++at;
    while (at < n && bytes[at] == 0xff) ++at;
    if (at >= n) throw UserError(cut_short(name));
    const uint8_t marker = bytes[at++];
    if (marker <= 0x01 || (marker >= 0xd0 && marker <= 0xd8)) continue;  // no length
    if (marker == 0xd9) break;
    const size_t length = n - at < 2 ? 0 : big_endian_16(bytes + at);
    if (length < 2 || length > n - at) throw UserError(cut_short(name));
    const bool is_frame =
        marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
    if (is_frame && length >= 7 && !size) {
      size = Size{big_endian_16(bytes + at + 5), big_endian_16(bytes + at + 3)};
      if (header_only) return *size;
    }
    if (marker == 0xc4) check_huffman_tables(bytes + at + 2, length - 2, name);
    has_scan = has_scan || marker == 0xda;
    at += length;
  }
  if (!size || !has_scan) throw UserError(cut_short(name));
  return *size;
}

ImageInfo check(const uint8_t* bytes, size_t n, const std::string& name, const ImageLimits& limits,
                bool header_only, int channels) {
  if (n == 0) throw UserError(cat(name, ": the file is empty; a PNG or JPEG image was expected."));
  if (n > kMaxFileBytes)
    throw UserError(cat(name, ": the file has more than ", human_bytes(double(kMaxFileBytes)), "."));
  Size size;
  if (is_png(bytes, n)) {
    size = check_png(bytes, n, name, header_only);
  } else if (is_jpeg(bytes, n)) {
    size = check_jpeg(bytes, n, name, header_only);
  } else {
    throw UserError(cat(name, ": this is neither a PNG nor a JPEG image. Convert it to PNG."));
  }
  if (size.width == 0 || size.height == 0)
    throw UserError(cat(name, ": the image is ", size.width, "x", size.height, " pixels; it is damaged."));
  const auto max_side = static_cast<uint64_t>(limits.max_side);
  if (size.width > max_side || size.height > max_side)
    throw UserError(cat(name, ": the image is ", size.width, "x", size.height, " pixels and at most ",
                        max_side, " a side are read. Reduce it first."));
  ImageInfo info;
  std::string reason;
  if (!stb::info(bytes, n, &info.width, &info.height, &info.channels, &reason))
    throw UserError(cat(name, ": the image cannot be decoded (", reason, "). Save it again as PNG."));
  const uint64_t n_decoded =
      size.width * size.height * static_cast<uint64_t>(channels != 0 ? channels : info.channels);
  if (n_decoded > limits.max_bytes)
    throw UserError(cat(name, ": the image is ", size.width, "x", size.height, " pixels, ",
                        human_bytes(double(n_decoded)), " decoded, and at most ",
                        human_bytes(double(limits.max_bytes)), " are read. Reduce it first."));
  return info;
}

const uint8_t* as_bytes(const std::string& s) {
  return reinterpret_cast<const uint8_t*>(s.data());
}

void write_bytes(const std::string& path, const std::vector<uint8_t>& bytes) {
  write_file_atomically(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

void check_image(const Image8& image) {
  T3D_CHECK(image.width > 0 && image.height > 0 && image.channels >= 1 && image.channels <= 4, "image of ",
            image.width, "x", image.height, "x", image.channels);
  T3D_CHECK(image.pixels.size() == static_cast<size_t>(image.width) * image.height * image.channels,
            "image has ", image.pixels.size(), " bytes");
}

}  // namespace

Image8::Image8(int w, int h, int c)
    : width(w), height(h), channels(c), pixels(static_cast<size_t>(w) * h * c, 0) {}

ImageF::ImageF(int w, int h, int c)
    : width(w), height(h), channels(c), pixels(static_cast<size_t>(w) * h * c, 0.0f) {}

Image8 decode_image(const uint8_t* bytes, size_t n_bytes, const std::string& name, int channels,
                    const ImageLimits& limits) {
  T3D_CHECK(channels >= 0 && channels <= 4, "channels is ", channels);
  check(bytes, n_bytes, name, limits, false, channels);
  Image8 image;
  int file_channels = 0;
  std::string reason;
  image.pixels = stb::decode(bytes, n_bytes, channels, &image.width, &image.height, &file_channels, &reason);
  if (image.pixels.empty())
    throw UserError(cat(name, ": the image cannot be decoded (", reason, "). Copy or render it again."));
  image.channels = channels != 0 ? channels : file_channels;
  return image;
}

Image8 read_image(const std::string& path, int channels, const ImageLimits& limits) {
  const std::string bytes = read_whole_file(path, kMaxFileBytes);
  return decode_image(as_bytes(bytes), bytes.size(), path, channels, limits);
}

Image8 read_upright(const std::string& path, int channels, const ImageLimits& limits) {
  const std::string bytes = read_whole_file(path, kMaxFileBytes);
  return upright(decode_image(as_bytes(bytes), bytes.size(), path, channels, limits),
                 exif_orientation(as_bytes(bytes), bytes.size()));
}

ImageInfo read_image_info(const std::string& path, const ImageLimits& limits) {
  const std::string bytes = read_whole_file(path, kMaxFileBytes);
  ImageInfo info = check(as_bytes(bytes), bytes.size(), path, limits, true, 0);
  info.orientation = exif_orientation(as_bytes(bytes), bytes.size());
  return info;
}

std::vector<uint8_t> encode_png(const Image8& image) {
  check_image(image);
  std::vector<uint8_t> bytes =
      stb::encode_png(image.pixels.data(), image.width, image.height, image.channels);
  if (bytes.empty()) throw SystemError("out of memory while a PNG image was encoded.");
  return bytes;
}

std::vector<uint8_t> encode_jpeg(const Image8& image, int quality) {
  check_image(image);
  std::vector<uint8_t> bytes =
      stb::encode_jpeg(image.pixels.data(), image.width, image.height, image.channels, quality);
  if (bytes.empty()) throw SystemError("out of memory while a JPEG image was encoded.");
  return bytes;
}

void write_png(const std::string& path, const Image8& image, ReadBack read_back) {
  write_bytes(path, encode_png(image));
  if (read_back == ReadBack::No) return;
  if (read_image(path, image.channels).pixels != image.pixels)
    throw SystemError(cat(path, ": the file does not hold what was written to it; the disk may be failing."));
}

void write_jpeg(const std::string& path, const Image8& image, int quality) {
  write_bytes(path, encode_jpeg(image, quality));
}

Image8 without_alpha(const Image8& image) {
  if (image.channels != 4) return image;
  Image8 out(image.width, image.height, 3);
  for (size_t i = 0; i < image.pixels.size() / 4; ++i) {
    if (image.pixels[4 * i + 3] != 255) return image;
    for (size_t c = 0; c < 3; ++c) out.pixels[3 * i + c] = image.pixels[4 * i + c];
  }
  return out;
}

ImageF to_float(const Image8& image) {
  ImageF out;
  out.width = image.width;
  out.height = image.height;
  out.channels = image.channels;
  out.pixels.resize(image.pixels.size());
  std::transform(image.pixels.begin(), image.pixels.end(), out.pixels.begin(),
                 [](uint8_t v) { return static_cast<float>(v) / 255.0f; });
  return out;
}

Image8 to_8bit(const ImageF& image) {
  Image8 out;
  out.width = image.width;
  out.height = image.height;
  out.channels = image.channels;
  out.pixels.resize(image.pixels.size());
  std::transform(image.pixels.begin(), image.pixels.end(), out.pixels.begin(), [](float v) {
    if (!(v > 0.0f)) return uint8_t{0};  // also not a number
    return static_cast<uint8_t>(std::lround(255.0f * std::min(v, 1.0f)));
  });
  return out;
}

}  // namespace t3d::io
