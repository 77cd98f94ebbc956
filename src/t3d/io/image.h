#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace t3d::io {

/// Pixels of 8 bits, top row first, channels interleaved. 1 channel: grey, 2: grey and alpha, 3: RGB, 4: RGBA
/// with straight alpha.
struct Image8 {
  int width = 0, height = 0, channels = 0;
  std::vector<uint8_t> pixels;  // height * width * channels

  Image8() = default;
  /// Zero-filled.
  Image8(int width, int height, int channels);
  bool empty() const { return pixels.empty(); }
  uint8_t* at(int x, int y) { return pixels.data() + (static_cast<size_t>(y) * width + x) * channels; }
  const uint8_t* at(int x, int y) const {
    return pixels.data() + (static_cast<size_t>(y) * width + x) * channels;
  }
};

/// The same with floats; colours are in [0,1] unless a function says otherwise.
struct ImageF {
  int width = 0, height = 0, channels = 0;
  std::vector<float> pixels;  // height * width * channels

  ImageF() = default;
  ImageF(int width, int height, int channels);
  bool empty() const { return pixels.empty(); }
  float* at(int x, int y) { return pixels.data() + (static_cast<size_t>(y) * width + x) * channels; }
  const float* at(int x, int y) const {
    return pixels.data() + (static_cast<size_t>(y) * width + x) * channels;
  }
};

/// What a file's header says, before any pixel is decoded.
struct ImageInfo {
  int width = 0, height = 0, channels = 0;  // as stored
  int orientation = 1;                      // of a photograph, by its EXIF data: io/exif.h
};

/// What a reader accepts: a larger image is refused by its header, before memory is taken for it.
struct ImageLimits {
  int max_side = 32768;
  size_t max_bytes = size_t{1} << 30;  // decoded
};

/// Reads a PNG, JPEG, WebP, TIFF, TGA, BMP or GIF file; its content says which, not its name. `channels` 0
/// keeps the file's own, 1 to 4 converts (a missing alpha becomes 255). 16 bits are reduced to 8. Of an
/// animation or several pages the first is read, which is said in the log. A PNG must have right checksums up
/// to its end mark and a JPEG its end marker, so that a file cut short is told from a whole one. Pixels come
/// as they are stored: texture coordinates and most camera poses belong to those. io/exif.h turns photographs
/// upright. Throws SystemError when the file cannot be read, UserError when it is no image (naming what it is
/// instead, where that is known), broken, or above the limits.
Image8 read_image(const std::string& path, int channels = 0, const ImageLimits& limits = {});

/// Width, height and channels, from the header alone. Throws as read_image does.
ImageInfo read_image_info(const std::string& path, const ImageLimits& limits = {});

/// The same from bytes in memory; `name` is what messages call them.
Image8 decode_image(const uint8_t* bytes, size_t n_bytes, const std::string& name, int channels = 0,
                    const ImageLimits& limits = {});

/// PNG (deflate level 6, rows filtered by the smallest absolute sum) and JPEG as bytes in memory.
std::vector<uint8_t> encode_png(const Image8& image);
std::vector<uint8_t> encode_jpeg(const Image8& image, int quality = 95);

enum class ReadBack { No, Yes };

/// Writes a file that appears whole or not at all. With ReadBack::Yes it is decoded again before the call
/// returns, and compared with what was written. Throws SystemError.
void write_png(const std::string& path, const Image8& image, ReadBack read_back = ReadBack::No);
/// JPEG of 1 or 3 channels; quality 95 is OpenCV's default. Alpha is dropped.
void write_jpeg(const std::string& path, const Image8& image, int quality = 95);

/// The first three of four channels, when all alpha is 255; other images as they are.
Image8 without_alpha(const Image8& image);

/// v / 255.
ImageF to_float(const Image8& image);
/// round(255 * clamp(v, 0, 1)); not a number becomes 0.
Image8 to_8bit(const ImageF& image);

}  // namespace t3d::io
