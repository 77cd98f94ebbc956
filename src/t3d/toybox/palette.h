#pragma once

#include <string>
#include <vector>

#include "t3d/core/rng.h"
#include "t3d/math/vec.h"

namespace t3d::toybox {

/// A colour word and the range of colours that it stands for.
struct PaletteColour {
  std::string name;
  Vec3f srgb;                     ///< its middle
  float spread;                   ///< how far a channel may be from there
  std::vector<std::string> also;  ///< other spellings that are understood
};

/// All colours in a fixed order.
const std::vector<PaletteColour>& palette();
/// By name or other spelling; nullptr: not known.
const PaletteColour* find_colour(const std::string& name);
/// One of the colours that the word stands for, sRGB in [0,1].
Vec3f draw_colour(const PaletteColour& colour, Rng& rng);
/// The nearest colour word to an sRGB colour, by distance in CIE L*a*b*.
const PaletteColour& nearest_colour(const Vec3f& srgb);

Vec3f srgb_to_linear(const Vec3f& srgb);
/// CIE L*a*b* (D65) of an sRGB colour.
Vec3f srgb_to_lab(const Vec3f& srgb);

}  // namespace t3d::toybox
