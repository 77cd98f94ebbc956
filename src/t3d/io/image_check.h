#pragma once

#include "t3d/io/image_format.h"

/// What is looked at before stb decodes a file: it trusts sizes, ignores checksums and takes what is cut
/// short for grey. Each function returns the size that the header gives and throws UserError for a file that
/// ends before its image does, or is damaged where stb would not notice.
namespace t3d::io {

struct CheckedImage {
  uint64_t width = 0, height = 0;
  int n_images = 1;  // of an animation: counted up to two
};

/// Walks the chunks and compares their checksums, unless `header_only`.
CheckedImage check_png(const EncodedImage& file, bool header_only);
/// Walks the segments up to the end marker, unless `header_only`.
CheckedImage check_jpeg(const EncodedImage& file, bool header_only);
/// The rows of an uncompressed bitmap; others are refused.
CheckedImage check_bmp(const EncodedImage& file);
/// Walks the blocks up to the second image.
CheckedImage check_gif(const EncodedImage& file);
/// The rows, or the packets of run lengths.
CheckedImage check_tga(const EncodedImage& file);

}  // namespace t3d::io
