#include <cstdint>
#include <cstdlib>

#include "t3d/io/exif.h"

/// JPEG, PNG, WebP and bare TIFF data: some orientation, and an image turned by it keeps its pixels' number.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const int orientation = t3d::io::exif_orientation(data, size);
  if (orientation < 1 || orientation > 8) std::abort();
  const t3d::io::Image8 image(3, 2, 1), turned = t3d::io::upright(image, orientation);
  if (turned.pixels.size() != image.pixels.size()) std::abort();
  if ((turned.width == 2) != t3d::io::exif_swaps_sides(orientation)) std::abort();
  return 0;
}
