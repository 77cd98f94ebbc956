#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

/// What kind of file the bytes of an image are. The content decides; the name's ending only where a TGA,
/// which has no mark at its start, would otherwise be a guess.
namespace t3d::io {

enum class ImageFormat { Unknown, Png, Jpeg, WebP, Tiff, Bmp, Gif, Tga };

/// Bytes of an encoded image and what messages call them.
struct EncodedImage {
  const uint8_t* bytes = nullptr;
  size_t n = 0;
  const std::string& name;
};

ImageFormat image_format(const EncodedImage& file);

/// "a HEIF photograph", "a web page", ... for well-known content that is not read; empty for other bytes.
std::string known_content(const EncodedImage& file);

/// "PNG, JPEG, ... and GIF": the formats that this build reads.
std::string readable_image_formats();

/// Endings of the formats in image_format.h, in lower case with the point; png and jpg first.
const char* const* image_endings();  // ends with a null pointer

/// Whether a path's ending is one of image_endings, in any letter case.
bool is_image_file(const std::string& path);

}  // namespace t3d::io
