#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "t3d/math/vec.h"

namespace t3d::io {

/// Triangles that cover a polygon, as indices into its corners: n - 2 of them, in the polygon's own sense.
/// Convex polygons become a fan from the first corner; concave ones, with holes cut in through a pair of
/// equal edges, too, are cut ear by ear in the plane of their area-weighted normal. Polygons without area
/// become a fan. Cost: n for convex polygons, n times the number of concave corners for others; above 20,000
/// corners always a fan. A polygon that crosses itself is covered somehow.
void triangulate(const std::vector<Vec3f>& corners, std::vector<std::array<uint32_t, 3>>& triangles);

}  // namespace t3d::io
