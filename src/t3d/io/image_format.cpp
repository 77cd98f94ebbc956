#include "t3d/io/image_format.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <filesystem>
#include <string_view>

namespace t3d::io {
namespace {

struct Mark {
  size_t at;
  std::string_view bytes;
  const char* what;
};

template <size_t N>
constexpr std::string_view bytes_of(const char (&text)[N]) {
  return {text, N - 1};  // zero bytes included
}

bool has(const EncodedImage& file, size_t at, std::string_view bytes) {
  return file.n >= at + bytes.size() && std::memcmp(file.bytes + at, bytes.data(), bytes.size()) == 0;
}

std::string lower_ending(const std::string& path) {
  std::string ending = std::filesystem::path(path).extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return ending;
}

/// A TGA says what it is in its last 26 bytes, since version 2. Older ones are taken by a plausible header.
bool is_tga(const EncodedImage& file) {
  if (file.n < 18) return false;
  const uint8_t *b = file.bytes, type = b[2], depth = b[16];
  const bool is_plausible =
      b[1] <= 1 && (type == 1 || type == 2 || type == 3 || type == 9 || type == 10 || type == 11) &&
      (depth == 8 || depth == 15 || depth == 16 || depth == 24 || depth == 32) && (b[12] | b[13]) != 0 &&
      (b[14] | b[15]) != 0 && (b[1] == 1) == (type == 1 || type == 9);
  constexpr std::string_view kFooter = bytes_of("TRUEVISION-XFILE.\0");
  return is_plausible &&
         (has(file, file.n - std::min(file.n, kFooter.size()), kFooter) || (b[17] & 0xc0) == 0);
}

}  // namespace

ImageFormat image_format(const EncodedImage& file) {
  if (has(file, 0, bytes_of("\x89PNG\r\n\x1a\n"))) return ImageFormat::Png;
  if (has(file, 0, bytes_of("\xff\xd8")) && file.n >= 3) return ImageFormat::Jpeg;
  if (has(file, 0, "RIFF") && has(file, 8, "WEBP")) return ImageFormat::WebP;
  if (has(file, 8, "CR\2")) return ImageFormat::Unknown;  // a camera's raw file in TIFF's clothes
  for (const auto& mark : {bytes_of("II*\0"), bytes_of("MM\0*"), bytes_of("II+\0"), bytes_of("MM\0+")})
    if (has(file, 0, mark)) return ImageFormat::Tiff;
  if (has(file, 0, "GIF87a") || has(file, 0, "GIF89a")) return ImageFormat::Gif;
  if (has(file, 0, "BM") && file.n >= 26) return ImageFormat::Bmp;
  if (known_content(file).empty() && is_tga(file)) return ImageFormat::Tga;
  return ImageFormat::Unknown;
}

std::string known_content(const EncodedImage& file) {
  static const Mark marks[] = {
      {4, "ftypavif", "an AVIF image"},
      {4, "ftyphei", "a HEIF photograph"},
      {4, "ftyphev", "a HEIF photograph"},
      {4, "ftypmif1", "a HEIF photograph"},
      {4, "ftypmsf1", "a HEIF photograph"},
      {4, "ftyp", "a video or a photograph in MP4's container"},
      {0, bytes_of("\0\0\0\x0cjP  "), "a JPEG 2000 image"},
      {0, bytes_of("\xff\x4f\xff\x51"), "a JPEG 2000 image"},
      {0, bytes_of("\0\0\0\x0cJXL "), "a JPEG XL image"},
      {0, bytes_of("\xff\x0a"), "a JPEG XL image"},
      {0, bytes_of("\x76\x2f\x31\x01"), "an OpenEXR image"},
      {0, "#?RADIANCE", "a Radiance HDR image"},
      {0, "#?RGBE", "a Radiance HDR image"},
      {0, "8BPS", "a Photoshop document"},
      {0, "DDS ", "a DDS texture"},
      {0, bytes_of("\xabKTX 20\xbb"), "a KTX2 texture"},
      {0, bytes_of("\xabKTX 11\xbb"), "a KTX texture"},
      {0, "sB", "a Basis texture"},
      {0, "qoif", "a QOI image"},
      {0, "farbfeld", "a farbfeld image"},
      {0, bytes_of("\0\0\1\0"), "an icon"},
      {0, "gimp xcf", "a GIMP document"},
      {8, "CR\2", "a camera's raw file"},
      {0, "FUJIFILMCCD-RAW", "a camera's raw file"},
      {0, "%PDF", "a PDF document"},
      {0, "PK\3\4", "a zip archive"},
      {0, bytes_of("\x1f\x8b"), "a gzip archive"},
      {0, "Rar!", "a RAR archive"},
      {0, "version https://git-lfs",
       "a pointer of Git LFS in place of the file ('git lfs pull' fetches it)"},
      {0, "<!DOCTYPE html", "a web page, probably in place of a download"},
      {0, "<!doctype html", "a web page, probably in place of a download"},
      {0, "<html", "a web page, probably in place of a download"},
      {0, "<HTML", "a web page, probably in place of a download"},
      {0, "<svg", "an SVG drawing"},
      {0, "<?xml", "an SVG drawing or another XML file"},
  };
  for (const Mark& mark : marks)
    if (has(file, mark.at, mark.bytes)) return mark.what;
  if (file.n >= 3 && file.bytes[0] == 'P' && file.bytes[1] >= '1' && file.bytes[1] <= '7' &&
      file.bytes[2] <= ' ')
    return "a PNM image (PPM, PGM, PBM or PAM)";
  return "";
}

std::string readable_image_formats() {
  std::string text = "PNG, JPEG";
#ifdef T3D_HAS_WEBP
  text += ", WebP";
#endif
#ifdef T3D_HAS_TIFF
  text += ", TIFF";
#endif
  return text + ", TGA, BMP and GIF";
}

const char* const* image_endings() {
  static const char* const endings[] = {".png",  ".jpg", ".jpeg", ".webp", ".tif",
                                        ".tiff", ".tga", ".bmp",  ".gif",  nullptr};
  return endings;
}

bool is_image_file(const std::string& path) {
  const std::string ending = lower_ending(path);
  for (const char* const* known = image_endings(); *known != nullptr; ++known)
    if (ending == *known) return true;
  return false;
}

}  // namespace t3d::io
