#pragma once

#include <ATen/core/Tensor.h>

#include "t3d/raster/edge_topology.h"

namespace t3d::raster {

/// Blends colours across silhouettes, which gives them a gradient by the vertices: Laine et al. 2020,
/// arXiv:2011.03277, section 3.6.
///   color  [B,H,W,C]  float or double
///   rast   [B,H,W,4]  of rasterize(), of color's type
///   pos    [B,V,4] or [V,4], and tri [F,3] int32: what was rasterized
///   topology  EdgeTopology::of(tri); made at each call if null
///   pos_gradient_boost  factor of the gradient that pos receives
///   returns  [B,H,W,C]
/// For two pixels side by side, or one above the other, that show different triangles, the line between their
/// centres is followed from the nearer triangle's pixel to where it leaves that triangle, at the fraction t
/// of the way. If that edge is a silhouette (the triangle beyond it is folded back, or there is none) and at
/// least as steep as 45 degrees to the line, the pixel into which the other's colour reaches beyond the
/// middle is blended:
///   t < 1/2: out_near += (1/2 - t) (color_far - color_near),  else  out_far += (t - 1/2) (color_near -
///   color_far).
/// t may be up to 1/16 outside [0, 1], since coverage is decided on snapped vertices; it is clamped then.
///
/// Differentiable in color, and in pos (x, y and w) through t; not where t is clamped by more than 1e-6.
/// dt/dpos takes 1/d as 1/(d + 1/1000) away from 0, with d the edge's extent across the line in pixels. Edges
/// with an end behind the camera are not blended. Throws UserError for a triangle that tri doesn't have.
at::Tensor antialias(const at::Tensor& color, const at::Tensor& rast, const at::Tensor& pos,
                     const at::Tensor& tri, const EdgeTopology* topology = nullptr,
                     double pos_gradient_boost = 1);

}  // namespace t3d::raster
