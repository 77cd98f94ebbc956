#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "t3d/io/image.h"

namespace t3d::io {

/// Up to 256 colours for a film.
struct Palette {
  std::vector<std::array<uint8_t, 3>> colours;
  std::vector<uint8_t> nearest;  // index into colours for each of 32x32x32 cells of RGB
};

/// Median cut, Heckbert 1982, https://doi.org/10.1145/965145.801294, over a histogram of 5 bits a channel of
/// all frames (3 or 4 channels): the box with the largest spread of its colours is halved until there are
/// 256.
Palette choose_palette(const std::vector<Image8>& frames);

/// Palette indices of every pixel, with an ordered 8x8 dither: unlike error diffusion it leaves still parts
/// of a film still, which also compresses better.
std::vector<uint8_t> apply_palette(const Image8& frame, const Palette& palette);

}  // namespace t3d::io
