#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "t3d/io/image.h"

namespace t3d::io {

/// How a photograph's stored pixels have to be turned to stand upright: the orientation of EXIF 2.3 (tag
/// 0x0112) in a JPEG's APP1 segment, a PNG's eXIf chunk, a WebP's EXIF chunk or a TIFF's first directory. 1:
/// as stored; 2: mirrored; 3: half a turn; 4: upside down, mirrored; 5: transposed; 6: a quarter turn
/// clockwise; 7: transposed along the other diagonal; 8: a quarter turn counterclockwise. 1 for every file
/// that says nothing, or nothing that is valid. Reads nothing outside of the `n_bytes`; throws nothing.
int exif_orientation(const uint8_t* bytes, size_t n_bytes);

/// Whether width and height change places.
inline bool exif_swaps_sides(int orientation) {
  return orientation >= 5;
}

/// The image turned as `orientation` (1 to 8) says; other values leave it as it is.
Image8 upright(const Image8& stored, int orientation);

/// read_image, turned upright: what a photograph's viewer shows. Whoever calls it says once that images were
/// turned; ImageInfo::orientation tells which, from the header.
Image8 read_upright(const std::string& path, int channels = 0, const ImageLimits& limits = {});

}  // namespace t3d::io
