#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

/// Values at vertices, over an image: Laine et al. 2020, arXiv:2011.03277, section 3.4.
namespace t3d::raster {

/// out = u a_0 + v a_1 + (1 - u - v) a_2 with the attributes of the vertices of the triangle that rast names;
/// 0 where there is none.
///   attr     [B,V,A], or [1,V,A] or [V,A] for all images; float or double
///   rast     [B,H,W,4] of rasterize(), of attr's type
///   tri      [F,3] int32, the one that was rasterized
///   returns  [B,H,W,A]
/// Differentiable in attr and in rast's u and v. Throws UserError for a triangle that tri doesn't have.
at::Tensor interpolate(const at::Tensor& attr, const at::Tensor& rast, const at::Tensor& tri);

struct Interpolated {
  at::Tensor out;     ///< [B,H,W,A]
  at::Tensor out_da;  ///< [B,H,W,2D] d/dX and d/dY, by pixel, of each of the D attributes in diff_attrs
};

/// The same with pixel derivatives, from rast_db [B,H,W,4] of rasterize(), for the attributes in diff_attrs,
/// 0 .. A-1, all of them if it is empty. Differentiable in rast_db too.
Interpolated interpolate_with_derivatives(const at::Tensor& attr, const at::Tensor& rast,
                                          const at::Tensor& tri, const at::Tensor& rast_db,
                                          const std::vector<int64_t>& diff_attrs = {});

}  // namespace t3d::raster
