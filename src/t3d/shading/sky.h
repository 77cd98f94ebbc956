#pragma once

#include <ATen/core/Tensor.h>

namespace t3d::shading {

/// A clear sky over even ground as a cube map [6,n,n,3] float, for scenes whose up is +z. It stands in where
/// no picture of an environment is at hand: blue towards the zenith, bright at the horizon, the sun 50
/// degrees up, 40 degrees to the left of the front, with a soft glow around it, brown-grey ground. A white
/// diffuse surface that faces up shows about 0.5.
at::Tensor sky_cube(int64_t n);

}  // namespace t3d::shading
