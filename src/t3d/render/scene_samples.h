#pragma once

#include "t3d/ops/ray_march.h"
#include "t3d/render/renderer.h"

namespace t3d::render {

/// Samples along the rays of some views, with what the scene's geometry and material say about them: what is
/// left to a renderer is how much of each is seen.
struct SceneSamples {
  ops::RaySamples at;
  at::Tensor points, t_dirs;  ///< [N,3]
  field::GeometryOutput geometry;
  at::Tensor colour;  ///< [N,C]
};

/// Evaluates `field`, which is the scene's geometry, and the material. Outside of training the geometry sees
/// at most `chunk` points at once (0: all), and the material ignores what `request` says about light. Draws
/// the material's numbers.
SceneSamples evaluate_samples(const Scene& scene, const field::PointField& field,
                              const RenderRequest& request, const ops::RaySamples& samples, bool with_normals,
                              int64_t chunk, bool is_training, Rng& rng);

/// Sums along rays, w = weights [N]: colour over the background, opacity and depth as pictures, and for
/// training the samples themselves. Draws the background's numbers. Throws UserError where material and
/// background have different channels.
RenderOutput composite_samples(const Scene& scene, const RenderRequest& request, const SceneSamples& samples,
                               const at::Tensor& weights, bool is_training, Rng& rng);

/// (unit(sum w n) + 1)/2 * opacity as a picture [B,H,W,3]; opacity [B,H,W,1].
at::Tensor normal_picture(const SceneSamples& samples, const at::Tensor& weights, const at::Tensor& opacity);

}  // namespace t3d::render
