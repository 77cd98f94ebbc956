#pragma once

#include "t3d/io/image.h"
#include "t3d/io/image_format.h"

/// WebP through libwebp and TIFF through libtiff. Without the library each function throws UserError that
/// names the package. Sizes are held against the limits before memory is taken for pixels; files that are
/// broken, cut short or of a kind that the library does not decode throw UserError with its reason.
namespace t3d::io {

struct LibraryImageInfo {
  ImageInfo info;
  bool has_more = false;  // frames or pages behind the first
};

LibraryImageInfo webp_info(const EncodedImage& file);
/// The first frame of an animation.
Image8 decode_webp(const EncodedImage& file);

LibraryImageInfo tiff_info(const EncodedImage& file);
/// The first page. 8 bits, 16 bits (reduced), and floats in [0,1]; alpha becomes straight.
Image8 decode_tiff(const EncodedImage& file);

}  // namespace t3d::io
