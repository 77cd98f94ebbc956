#pragma once

#include "t3d/io/image.h"

namespace t3d::data {

/// Peak signal-to-noise ratio in dB: -10 log10 of the mean squared error over all pixels and channels,
/// range 1. Equal images give +infinity. Both images have the same size; T3D_CHECK otherwise. `mask`: 1
/// channel of that size, pixels that are 0 are left out; empty: none is. NaN when no pixel is left.
double psnr(const io::ImageF& image, const io::ImageF& truth, const io::Image8& mask = {});

/// Structural similarity, Wang et al. 2004, https://doi.org/10.1109/TIP.2003.819861, as torchmetrics computes
/// it: Gaussian window 11x11 of sigma 1.5, k1 0.01, k2 0.03, data range 1, borders reflected (without
/// repeating the edge), mean over all pixels and channels. 1 for equal images. Both sides of the image are
/// above 5 pixels. Pixels that `mask` leaves out differ nowhere, and the mean is over the others.
double ssim(const io::ImageF& image, const io::ImageF& truth, const io::Image8& mask = {});

}  // namespace t3d::data
