#pragma once

#include <ATen/core/Tensor.h>

namespace t3d::raster {

/// Unnormalised directions through the texels of a cube map, [6,n,n,3] double on the CPU. Faces are +x, -x,
/// +y, -y, +z, -z; with x = (2 column + 1)/n - 1 and y = (2 row + 1)/n - 1 they hold the directions
/// (1,-y,-x),
/// (-1,-y,x), (x,1,y), (x,-1,-y), (x,-y,1), (-x,-y,-1), as in OpenGL.
at::Tensor cube_directions(int64_t n);

}  // namespace t3d::raster
