#pragma once

#include <ATen/core/Tensor.h>

namespace t3d::shading {

/// What a texel of a cube map counts in an integral over all directions.
enum class TexelWeight {
  SolidAngle,   ///< the solid angle that it covers; all of them are 4 pi
  Threestudio,  ///< the reference's product of arcs, whose sum is 1.08 to 1.18 times 4 pi
};

/// [n,n] double, the same for all faces; row and column as in raster/cube_map.h.
///
///   SolidAngle   A(x1,y1) - A(x0,y1) - A(x1,y0) + A(x0,y0),  A(x,y) = atan2(x y, sqrt(x^2 + y^2 + 1))
///   Threestudio  w(|column - h|) w(|row - h|),  w(k) = atan((k + 1)/h) - atan(k/h),  h = n/2 in whole
///   numbers
at::Tensor texel_weights(int64_t n, TexelWeight kind);

/// Light on a diffuse surface by its normal, over pi: sum over texels of colour min(cos, 0.999) weight
/// / 3.141592. Of the size of `cube` [6,n,n,3] float; cost n^4.
at::Tensor diffuse_light(const at::Tensor& cube, TexelWeight kind);

/// Light that a rough mirror shows, by the direction that it reflects, seen along its normal: the mean of the
/// texels with weights cos D(h) weight, D of GGX with alpha = roughness^2 and h the half vector, within the
/// cone cos >= cone_cosine (> 0). Karis 2013, "Real shading in Unreal Engine 4". Of the size of `cube`
/// [6,n,n,3] float. Cost: n^2 times the texels of the cone.
at::Tensor glossy_light(const at::Tensor& cube, float roughness, double cone_cosine, TexelWeight kind);

/// Cosine of the cone that holds 99 % of a lobe as the reference counts it: the sum of D over angles in a
/// million even steps, without their sine.
double cone_cosine(float roughness);

}  // namespace t3d::shading
