#include "t3d/io/image_stb.h"

#include <zlib.h>

#include <cstdlib>
#include <memory>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_ONLY_BMP
#define STBI_ONLY_GIF
#define STBI_ONLY_TGA
#define STBI_NO_STDIO
#define STBI_MAX_DIMENSIONS 32768
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#include <stb_image.h>

namespace {

/// zlib's deflate is smaller and faster than stb's own. stb frees what this returns.
unsigned char* deflate_with_zlib(unsigned char* data, int n, int* n_out, int quality) {
  uLongf size = compressBound(static_cast<uLong>(n));
  auto* out = static_cast<unsigned char*>(std::malloc(size));
  if (out == nullptr) return nullptr;
  if (compress2(out, &size, data, static_cast<uLong>(n), quality) != Z_OK) {
    std::free(out);
    return nullptr;
  }
  *n_out = static_cast<int>(size);
  return out;
}

}  // namespace

#define STBI_WRITE_NO_STDIO
#define STBIW_ZLIB_COMPRESS deflate_with_zlib
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb_image_write.h>
#pragma GCC diagnostic pop

namespace t3d::io::stb {
namespace {

const char* last_reason() {
  const char* reason = stbi_failure_reason();
  return reason != nullptr ? reason : "unknown reason";
}

void append(void* context, void* data, int size) {
  auto* out = static_cast<std::vector<uint8_t>*>(context);
  const auto* bytes = static_cast<const uint8_t*>(data);
  out->insert(out->end(), bytes, bytes + size);
}

}  // namespace

bool info(const uint8_t* bytes, size_t n_bytes, int* width, int* height, int* channels, std::string* reason) {
  if (stbi_info_from_memory(bytes, static_cast<int>(n_bytes), width, height, channels) == 1) {
    *height = std::abs(*height);  // a BMP's is negative where its first row is the top
    return true;
  }
  *reason = last_reason();
  return false;
}

std::vector<uint8_t> decode(const uint8_t* bytes, size_t n_bytes, int channels, int* width, int* height,
                            int* file_channels, std::string* reason) {
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(bytes, static_cast<int>(n_bytes), width, height, file_channels, channels),
      stbi_image_free);
  if (pixels == nullptr) {
    *reason = last_reason();
    return {};
  }
  const size_t n = static_cast<size_t>(*width) * static_cast<size_t>(*height) *
                   static_cast<size_t>(channels != 0 ? channels : *file_channels);
  return std::vector<uint8_t>(pixels.get(), pixels.get() + n);
}

std::vector<uint8_t> encode_png(const uint8_t* pixels, int width, int height, int channels) {
  int n = 0;
  const std::unique_ptr<unsigned char, void (*)(void*)> bytes(
      stbi_write_png_to_mem(pixels, width * channels, width, height, channels, &n), std::free);
  if (bytes == nullptr) return {};
  return std::vector<uint8_t>(bytes.get(), bytes.get() + n);
}

std::vector<uint8_t> encode_jpeg(const uint8_t* pixels, int width, int height, int channels, int quality) {
  std::vector<uint8_t> out;
  if (stbi_write_jpg_to_func(append, &out, width, height, channels, pixels, quality) == 0) return {};
  return out;
}

}  // namespace t3d::io::stb
