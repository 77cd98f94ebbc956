#pragma once

#include "t3d/io/image.h"

namespace t3d::io {

/// Area average for shrinking, exact for any ratio: an output pixel is the mean of the input area under it.
/// The colour of images with 2 or 4 channels is weighted with alpha, so that the colour behind transparent
/// pixels does not bleed in. Enlarging works too and repeats pixels.
Image8 resize_area(const Image8& image, int width, int height);
ImageF resize_area(const ImageF& image, int width, int height);

/// Bilinear between pixel centres (half-pixel convention, edges repeated), every channel by itself: what
/// OpenCV's and PyTorch's (align_corners=False, antialias=False) default does.
ImageF resize_bilinear(const ImageF& image, int width, int height);
Image8 resize_bilinear(const Image8& image, int width, int height);

}  // namespace t3d::io
