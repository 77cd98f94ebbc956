#pragma once

#include "t3d/io/image.h"

namespace t3d::io {

/// Reads a Radiance picture (.hdr): linear RGB, not negative, unbounded, top row first. Colours are
/// mantissa * 2^(exponent - 136); EXPOSURE and other lines of the header change nothing, as in other readers.
/// Scanlines may be flat or run-length encoded, in the old way or the new one. Refused are pictures in XYZ
/// and those whose rows do not run from the top left. `limits` hold for 4 bytes a channel. Throws SystemError
/// when the file cannot be read, UserError when it is another kind of file (naming what it is instead, where
/// that is known), broken, cut short or above the limits.
ImageF read_hdr(const std::string& path, const ImageLimits& limits = {});

/// The same from bytes in memory; `name` is what messages call them.
ImageF decode_hdr(const uint8_t* bytes, size_t n_bytes, const std::string& name,
                  const ImageLimits& limits = {});

}  // namespace t3d::io
