#pragma once

#include "t3d/data/dataset.h"

namespace t3d::data {

/// The lens of a frame for an image's pixels.
struct FittedLens {
  Lens lens;
  bool is_scaled = false;  // the lens was for another size of the same aspect
  bool is_turned = false;  // the pixels have to be turned upright as the image's EXIF orientation says
};

/// Fills in what the file left to the image (size, focal length from the angle of view, principal point at
/// the middle) and scales a lens that is for another size of the same aspect. Sizes decide whether an image
/// is turned: as it is stored where that fits the lens, turned by its EXIF orientation (1 to 8) where only
/// that fits. Throws UserError when neither does.
FittedLens fit_lens(const Frame& frame, int width, int height, int orientation);

/// For pixels of another size.
void scale_lens(Lens& lens, int width, int height);

/// True when an image of one size can be one of the other, reduced or enlarged: sides differ from their exact
/// length by less than a pixel, and the aspect by less than 2 %.
bool same_aspect(int width, int height, int other_width, int other_height);

}  // namespace t3d::data
