#pragma once

#include <string>
#include <vector>

#include "t3d/io/image.h"
#include "t3d/math/vec.h"

namespace t3d::evaluate {

/// What a colour word has of an object's pixels.
struct ColourShare {
  double share = 0;  ///< of all
  double height =
      0;  ///< the mean of where they lie: 0 at the object's lower edge in the picture, 1 at the upper
};
/// In the palette's order.
using ColourShares = std::vector<ColourShare>;

/// The colour word, as its place in the palette, of which a pixel is most likely a lit or shaded instance:
/// the nearest of the colours k c, in CIE L*a*b*, where c is the word's colour (linear) and k a brightness,
/// of which those far from the usual count as farther. From a table of 64^3 cells.
size_t shaded_colour(const uint8_t* srgb);

/// What lies behind an object that does not touch the picture's border.
struct Backdrop {
  Vec3f srgb = Vec3f::Zero();  ///< the median of the border, in [0,1]
  /// Distance from there, in CIE L*a*b*, from which on a pixel belongs to the object: 7, or 1.5 times what 95
  /// of 100 of the border's pixels keep, up to 20. Samples of a model have noise there.
  float reach = 7;
};
Backdrop backdrop_of(const io::Image8& picture);

/// A picture with alpha before one colour.
io::Image8 before_colour(const io::Image8& rgba, const Vec3f& srgb);

/// Of all pixels of the views that differ from their own view's backdrop. All zeros when none does.
ColourShares colour_shares(const std::vector<io::Image8>& views, const std::vector<Backdrop>& backdrops);

}  // namespace t3d::evaluate
