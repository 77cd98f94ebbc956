#pragma once

#include <cstdint>

#include "t3d/raster/drawn_triangle.h"

/// The inner loop of rasterization on the CPU.
namespace t3d::raster::cpu {

constexpr int32_t kSpan = 16;  ///< pixels that are looked at together
constexpr int32_t kTile = 64;  ///< side of the squares that threads share out, a multiple of kSpan

struct DrawnTriangle {
  Coverage cover;
  DepthPlane depth;
  int32_t id;  ///< index + 1
};

/// The nearest triangle of each pixel so far: z is infinite and id 0 where there is none. Rows are `stride`
/// apart, a multiple of kTile; what lies beyond the image's width is scratch.
struct DepthImage {
  float* z;
  int32_t* id;
  int64_t stride;
};

/// Draws what of the triangle lies in columns i0 .. i0 + kTile - 1 and rows j0 .. j0 + kTile - 1, where it is
/// nearer than what is there, and behind `front` if that is not null: (z, id) greater than front's.
using DrawInTile = void (*)(const DrawnTriangle& triangle, int32_t i0, int32_t j0, const DepthImage& image,
                            const DepthImage* front);

/// That for the instruction set that ops::simd() names; the same to the bit with each.
DrawInTile draw_in_tile();

}  // namespace t3d::raster::cpu
