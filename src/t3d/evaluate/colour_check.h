#pragma once

#include <string>
#include <vector>

#include "t3d/evaluate/colour_shares.h"
#include "t3d/toybox/caption.h"

namespace t3d::evaluate {

/// A part whose colour a caption names.
struct NamedColour {
  std::string part, colour;
};

/// The named parts of a caption, in its order.
std::vector<NamedColour> named_colours(const toybox::Description& description);

/// Whether an object shows the colours of its caption where the caption has them, and no others, as far as
/// pixels tell.
struct ColourVerdict {
  struct Part {
    std::string part, colour;
    double share, low, high;         ///< of the object's pixels: found, and the bounds of right
    double height, lowest, highest;  ///< the mean of where they lie, 0 to 1, and its bounds
    bool is_right;
  };
  struct Stranger {
    std::string colour;
    double share, high;
  };
  std::vector<Part> parts;          ///< named ones that can be seen
  std::vector<Stranger> strangers;  ///< colours that are too strong and that the caption does not name
  int64_t n_right() const;
  /// Every stranger counts as one more part, of a wrong colour.
  int64_t n_parts() const { return static_cast<int64_t>(parts.size() + strangers.size()); }
};

/// `truths`: objects that the caption stands for, measured in the same way. A named colour is right when its
/// share and its height are within the truths' range, widened: the share from 0.45 of the smallest to 1.4 of
/// the largest plus 0.05, the height by 0.12. Any other colour is a stranger when its share exceeds 1.4 of
/// the truths' largest plus 0.1. A colour that no truth shows (a trunk inside the crown) is left out.
ColourVerdict check_colours(const std::vector<NamedColour>& named, const std::vector<ColourShares>& truths,
                            const ColourShares& seen);

}  // namespace t3d::evaluate
