#pragma once

#include <cstdint>
#include <string>
#include <vector>

/// Images with EXIF data, for tests.
namespace t3d::testing {

/// The TIFF structure that EXIF data is: one directory with a camera's name before the orientation.
inline std::string exif_tiff(int orientation, bool big_endian = false) {
  std::string out;
  const auto put = [&](uint32_t value, int width) {
    for (int i = 0; i < width; ++i) out += static_cast<char>(value >> 8 * (big_endian ? width - 1 - i : i));
  };
  out += big_endian ? "MM" : "II";
  put(42, 2), put(8, 4), put(2, 2);
  put(0x010f, 2), put(2, 2), put(4, 4), out += std::string("abc\0", 4);
  put(0x0112, 2), put(3, 2), put(1, 4), put(static_cast<uint32_t>(orientation), 2), put(0, 2);
  put(0, 4);
  return out;
}

/// The JPEG with an APP1 segment behind its first marker.
inline std::vector<uint8_t> jpeg_with_exif(const std::vector<uint8_t>& jpeg, const std::string& tiff) {
  const std::string content = std::string("Exif\0\0", 6) + tiff;
  const size_t length = content.size() + 2;
  std::vector<uint8_t> out(jpeg.begin(), jpeg.begin() + 2);
  out.insert(out.end(), {0xff, 0xe1, static_cast<uint8_t>(length >> 8), static_cast<uint8_t>(length)});
  out.insert(out.end(), content.begin(), content.end());
  out.insert(out.end(), jpeg.begin() + 2, jpeg.end());
  return out;
}

}  // namespace t3d::testing
