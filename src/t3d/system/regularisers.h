#pragma once

#include <ATen/core/Tensor.h>

#include "t3d/render/renderer.h"

/// Loss terms that look at a rendering alone, threestudio section 5.0. All are scalars that carry a graph.
namespace t3d::system {

/// Sum over samples of stopgrad(w) max(0, n . d)^2, divided by the number of pixels that are not empty:
/// surfaces that are seen should face the camera. Verbin et al. 2022, Ref-NeRF, eq. 11. Throws UserError
/// where the rendering has no normals.
at::Tensor orientation_loss(const render::RenderOutput& out);

/// mean sqrt(o^2 + 0.01) over pixels: empty space. Poole et al. 2022, DreamFusion, appendix.
at::Tensor sparsity_loss(const at::Tensor& opacity);

/// Binary entropy of the opacity, clamped to [1e-3, 1 - 1e-3]: pixels are to be empty or opaque.
at::Tensor opaque_loss(const at::Tensor& opacity);

/// Mean of z_variance where opacity is above 0.5: thin surfaces. Zhu and Zhuang 2023, HiFA, section 3.2. 0
/// where no pixel is.
at::Tensor z_variance_loss(const at::Tensor& z_variance, const at::Tensor& opacity);

/// Mean of (|slope| - 1)^2 over samples of a signed distance: the slope of a distance has length 1. Gropp et
/// al. 2020, Implicit Geometric Regularization, arXiv:2002.10099, eq. 2. The sample without length that
/// stands in where rays have none does not count.
at::Tensor eikonal_loss(const render::RenderOutput& out);

/// mean log(1 + scale w) over samples. Wang et al. 2022, Score Jacobian Chaining, section 4.3.
at::Tensor emptiness_loss(const at::Tensor& weights, double scale);

/// Pushes the middle of the picture nearer than its border: sign(x) log |x| with x the mean depth of the
/// middle minus that of the border. Wang et al. 2022, as above. depth, opacity [B,H,W,1].
at::Tensor centre_depth_loss(const at::Tensor& depth, const at::Tensor& opacity, double centre_ratio);

}  // namespace t3d::system
