#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "t3d/core/registry.h"
#include "t3d/core/rng.h"
#include "t3d/field/geometry.h"
#include "t3d/shading/background.h"
#include "t3d/shading/material.h"

namespace t3d::render {

/// What a renderer looks at; the parts outlive it.
struct Scene {
  field::Geometry* geometry;
  shading::Material* material;
  shading::Background* background;
};

/// B views of H x W rays.
struct RenderRays {
  at::Tensor origins;                  ///< [B,H,W,3]
  at::Tensor directions;               ///< [B,H,W,3], unit
  at::Tensor light_positions;          ///< [B,3]
  at::Tensor background;               ///< undefined: the scene's; [B,C]; or [B,H,W,C]
  std::optional<float> ambient_ratio;  ///< in training, handed to the material
  std::optional<std::string> shading;
  /// Where one picture is rendered in parts: draws that hold for the whole of it (the material's, the
  /// background's) come from copies of this stream, and only the samples' from the renderer's argument.
  std::optional<Rng> picture_draws;
};

/// Images [B,H,W,C]; and in training, what each of the N samples gave, for losses.
struct RenderOutput {
  at::Tensor comp_rgb, comp_rgb_fg, comp_rgb_bg;  ///< C channels of the material
  at::Tensor opacity, depth, z_variance;          ///< 1 channel; depth is not divided by opacity
  at::Tensor comp_normal;                         ///< in [0,1], times opacity; undefined without normals
  at::Tensor weights, t_points, t_intervals;      ///< [N,1]
  at::Tensor points, t_dirs;                      ///< [N,3]
  at::Tensor ray_indices;                         ///< [N] int64
  at::Tensor normal_perturb;                      ///< [N,3] on request
  at::Tensor inv_std;                             ///< [] sharpness of the surface of a signed distance
  field::GeometryOutput geometry;                 ///< [N,.]
};

/// What a renderer learns beside the scene by an optimizer of its own: a network that places samples.
struct OwnLearning {
  field::NamedTensors parameters;     ///< by their names in the renderer
  config::Node optimizer, scheduler;  ///< as system.optimizer; as system.scheduler, followed at every step
};

/// The members that are pictures [B,H,W,C], and those that belong to samples [N,.], always in one order;
/// among them undefined ones. ray_indices, whose numbers depend on the picture's size, is in neither.
std::vector<at::Tensor*> pictures_of(RenderOutput& out);
std::vector<at::Tensor*> samples_of(RenderOutput& out);

/// From rays to images: threestudio's system.renderer. update_step is for what follows the step alone.
class Renderer : public field::Component {
 public:
  /// Before every batch of training, after update_step: refreshes what is known about where the scene is.
  virtual void update_grid(int64_t step);
  virtual std::optional<OwnLearning> own_learning() const;
  /// The loss of that, mean over the renderings since the last call that gave one; undefined: none did. Its
  /// graph reaches the parameters of own_learning alone.
  virtual at::Tensor take_own_loss();
  /// Forgets the renderings since then: those of an attempt that failed.
  virtual void drop_own_loss() {}
  /// Whether rows of a picture, rendered one after another, are the picture.
  virtual bool can_render_strips() const { return true; }
  /// In training gradients flow to the scene's parameters, unless the caller has switched them off, and
  /// random draws come from `rng`.
  virtual RenderOutput operator()(const RenderRays& rays, bool is_training, Rng& rng) = 0;
};

/// The table of renderers by `system.renderer_type`.
using RendererRegistry = Registry<Renderer, const Scene&, const field::BuildContext&>;
const RendererRegistry& renderers();

}  // namespace t3d::render
