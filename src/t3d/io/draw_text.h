#pragma once

#include <string>

#include "t3d/io/image.h"

namespace t3d::io {

/// Writes a line of text onto an RGB picture, white on a black box: small letters, digits, space, "." and
/// "-", each 5 x 7 pixels times `scale`; capitals are made small, other characters are filled boxes. (x, y)
/// is the upper left corner; what does not fit is cut off.
void draw_text(Image8& picture, int x, int y, const std::string& text, int scale = 1);

/// Size of the box of a line.
constexpr int kGlyphAdvance = 6, kLineHeight = 9;

}  // namespace t3d::io
