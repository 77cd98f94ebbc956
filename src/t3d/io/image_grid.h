#pragma once

#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "t3d/io/image.h"

/// Pictures of tensors, by threestudio's rules: values are truncated to 8 bits, not rounded.
namespace t3d::io {

/// Jet: blue, green, red. Magma: of 1 - x, so that near is bright. Spectral: red to violet. Turbo: an even
/// jet.
enum class ColourMap { None, Jet, Magma, Spectral, Turbo };

/// The map's colour at x in [0,1], RGB in [0,1]. Jet is its formula; the others join published anchors by
/// lines.
std::array<float, 3> map_colour(ColourMap map, float x);

using ValueRange = std::pair<float, float>;

/// Clips to `range` and maps it to 0..255. 1 channel is repeated; more than 3 are split into groups of 3, the
/// last one filled up with zeros, side by side. Not a number becomes 0.
Image8 picture_of_rgb(const ImageF& image, ValueRange range = {0.0f, 1.0f});

/// One channel as RGB. Without a range the image's own smallest and largest value are taken. Not a number is
/// 0.
Image8 picture_of_values(const ImageF& image, std::optional<ValueRange> range = ValueRange{0.0f, 1.0f},
                         ColourMap map = ColourMap::Jet);

/// RGB pictures beside each other, rows below each other. The pictures of a row are resized (bilinear) to the
/// row's largest height and width, or to `align` x `align` when it is not 0. Shorter rows end in black.
Image8 picture_grid(const std::vector<std::vector<Image8>>& rows, int align = 0);

}  // namespace t3d::io
