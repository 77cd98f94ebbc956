#pragma once

#include <functional>
#include <string>
#include <utility>

#include "t3d/core/rng.h"
#include "t3d/toybox/surface.h"

namespace t3d::toybox {

/// Splits edges that are longer than `length` until none is; neighbours stay joined.
Surface split_long_edges(const Surface& surface, float length);

/// Cuts along the zeros of `side`, which is taken as linear within a triangle: where it is positive, and the
/// rest.
std::pair<Surface, Surface> cut(const Surface& surface, const std::function<float(const Vec3f&)>& side);

/// "striped", "dotted", "checkered" or "wooden" (grain): the ground, and what is on it. `size` is the length
/// of the whole object.
std::pair<Surface, Surface> apply_pattern(const Surface& surface, const std::string& pattern, float size,
                                          Rng& rng);

}  // namespace t3d::toybox
