#pragma once

#include <cstdint>

namespace t3d::shading {

/// Texels of a cube map, one array for each of their numbers: unit direction, weight and colour.
struct CubeTexels {
  const float *x, *y, *z, *weight, *red, *green, *blue;
};

/// Adds w, w red, w green, w blue to sums [4] over texels first .. first + n - 1. With q the squared distance
/// of direction and normal, c = 1 - q/2 the cosine between them and 1 - q/4 the square of the half vector's,
/// w = weight c / d^2, d = (1 - q/4)(alpha^2 - 1) + 1, where q <= reach2, and 0 elsewhere. In single
/// precision q is far more exact than c, on which narrow lobes depend.
void add_glossy_texels(const CubeTexels& texels, int64_t first, int64_t n, const float* normal, float reach2,
                       float alpha2, float* sums);

}  // namespace t3d::shading
