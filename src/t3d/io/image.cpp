#include "t3d/io/image.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/core/file_kind.h"
#include "t3d/core/log.h"
#include "t3d/io/exif.h"
#include "t3d/io/image_check.h"
#include "t3d/io/image_libraries.h"
#include "t3d/io/image_stb.h"

namespace t3d::io {
namespace {

constexpr uint64_t kMaxFileBytes = uint64_t{1} << 30;

void check_size(const std::string& name, uint64_t width, uint64_t height, const ImageLimits& limits) {
  if (width == 0 || height == 0)
    throw UserError(cat(name, ": the image is ", width, "x", height, " pixels; it is damaged."));
  const auto max_side = static_cast<uint64_t>(limits.max_side);
  if (width > max_side || height > max_side)
    throw UserError(cat(name, ": the image is ", width, "x", height, " pixels and at most ", max_side,
                        " a side are read. Reduce it first."));
}

void check_memory(const std::string& name, const ImageInfo& info, int channels, const ImageLimits& limits) {
  const uint64_t n_decoded = uint64_t(info.width) * uint64_t(info.height) *
                             static_cast<uint64_t>(channels != 0 ? channels : info.channels);
  if (n_decoded > limits.max_bytes)
    throw UserError(cat(name, ": the image is ", info.width, "x", info.height, " pixels, ",
                        human_bytes(double(n_decoded)), " decoded, and at most ",
                        human_bytes(double(limits.max_bytes)), " are read. Reduce it first."));
}

/// Once for each kind of file, so that a folder of them does not fill the log.
void say_that_the_first_is_used(ImageFormat format, const std::string& name) {
  static std::atomic<bool> said_pages{false}, said_frames{false};
  std::atomic<bool>& said = format == ImageFormat::Tiff ? said_pages : said_frames;
  if (!said.exchange(true))
    log::info(cat(name, format == ImageFormat::Tiff ? ": has several pages" : ": is an animation",
                  "; the first one is used"));
}

[[noreturn]] void throw_unknown(const EncodedImage& file) {
  refuse_placeholder({reinterpret_cast<const char*>(file.bytes), file.n}, file.name, "an image");
  const std::string content = known_content(file);
  const std::string formats = readable_image_formats();
  if (content.empty())
    throw UserError(
        cat(file.name, ": this is no image that is read; readable are ", formats, ". Convert it to PNG."));
  throw UserError(cat(file.name, ": this is ", content, "; readable are ", formats, ". Convert it to PNG."));
}

ImageInfo check(const EncodedImage& file, const ImageLimits& limits, bool header_only, int channels) {
  if (file.n == 0) throw UserError(cat(file.name, ": the file is empty; an image was expected."));
  if (file.n > kMaxFileBytes)
    throw UserError(cat(file.name, ": the file has more than ", human_bytes(double(kMaxFileBytes)), "."));
  const ImageFormat format = image_format(file);
  ImageInfo info;
  bool has_more = false;
  if (format == ImageFormat::WebP || format == ImageFormat::Tiff) {
    const LibraryImageInfo found = format == ImageFormat::WebP ? webp_info(file) : tiff_info(file);
    info = found.info;
    has_more = found.has_more;
    check_size(file.name, uint64_t(info.width), uint64_t(info.height), limits);
  } else {
    CheckedImage size;
    switch (format) {
      case ImageFormat::Png:
        size = check_png(file, header_only);
        break;
      case ImageFormat::Jpeg:
        size = check_jpeg(file, header_only);
        break;
      case ImageFormat::Bmp:
        size = check_bmp(file);
        break;
      case ImageFormat::Gif:
        size = check_gif(file);
        break;
      case ImageFormat::Tga:
        size = check_tga(file);
        break;
      default:
        throw_unknown(file);
    }
    has_more = size.n_images > 1;
    check_size(file.name, size.width, size.height, limits);
    std::string reason;
    if (!stb::info(file.bytes, file.n, &info.width, &info.height, &info.channels, &reason))
      throw UserError(cat(file.name, ": the image cannot be decoded (", reason, "). Save it again as PNG."));
  }
  check_memory(file.name, info, channels, limits);
  if (has_more && !header_only) say_that_the_first_is_used(format, file.name);
  return info;
}

Image8 decode_with_stb(const EncodedImage& file, int channels) {
  Image8 image;
  std::string reason;
  image.pixels =
      stb::decode(file.bytes, file.n, channels, &image.width, &image.height, &image.channels, &reason);
  if (image.pixels.empty())
    throw UserError(cat(file.name, ": the image cannot be decoded (", reason, "). Copy or render it again."));
  if (channels != 0) image.channels = channels;
  return image;
}

/// Writers of BMP and TGA leave the fourth byte 0 where they mean no alpha; no image is meant to be unseen.
void fill_empty_alpha(Image8& image) {
  if (image.channels != 4) return;
  for (size_t i = 3; i < image.pixels.size(); i += 4)
    if (image.pixels[i] != 0) return;
  for (size_t i = 3; i < image.pixels.size(); i += 4) image.pixels[i] = 255;
}

/// Grey is 0.299 R + 0.587 G + 0.114 B, in the whole numbers that stb takes.
Image8 with_channels(const Image8& image, int channels) {
  if (channels == 0 || channels == image.channels) return image;
  Image8 out(image.width, image.height, channels);
  const bool is_grey = image.channels < 3, has_alpha = image.channels % 2 == 0;
  const auto n = static_cast<size_t>(image.channels), m = static_cast<size_t>(channels);
  for (size_t i = 0; i < image.pixels.size() / n; ++i) {
    const uint8_t* p = &image.pixels[i * n];
    uint8_t* q = &out.pixels[i * m];
    const uint8_t r = p[0], g = is_grey ? p[0] : p[1], b = is_grey ? p[0] : p[2];
    if (m < 3) {
      q[0] = is_grey ? r : static_cast<uint8_t>((r * 77 + g * 150 + b * 29) >> 8);
    } else {
      q[0] = r, q[1] = g, q[2] = b;
    }
    if (m % 2 == 0) q[m - 1] = has_alpha ? p[n - 1] : 255;
  }
  return out;
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
  const EncodedImage file{bytes, n_bytes, name};
  check(file, limits, false, channels);
  switch (image_format(file)) {
    case ImageFormat::WebP:
      return with_channels(decode_webp(file), channels);
    case ImageFormat::Tiff:
      return with_channels(decode_tiff(file), channels);
    case ImageFormat::Bmp:
    case ImageFormat::Tga: {
      Image8 image = decode_with_stb(file, 0);
      fill_empty_alpha(image);
      return with_channels(image, channels);
    }
    default:
      return decode_with_stb(file, channels);
  }
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
  ImageInfo info = check({as_bytes(bytes), bytes.size(), path}, limits, true, 0);
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
