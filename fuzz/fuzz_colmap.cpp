#include <cstdint>
#include <string_view>

#include "t3d/core/error.h"
#include "t3d/data/read_colmap.h"

/// The first byte chooses the file: c, i, p binary cameras, images, points; C, I, P the same as text.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const bool is_text = data[0] == 'C' || data[0] == 'I' || data[0] == 'P';
  try {
    switch (data[0] | 0x20) {
      case 'c':
        t3d::data::parse_colmap_cameras(bytes, "cameras", is_text);
        break;
      case 'i':
        t3d::data::parse_colmap_images(bytes, "images", is_text);
        break;
      default:
        t3d::data::parse_colmap_points(bytes, "points3D", is_text);
        break;
    }
  } catch (const t3d::UserError&) {
  }
  return 0;
}
