#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "t3d/core/registry.h"
#include "t3d/core/rng.h"
#include "t3d/field/geometry.h"
#include "t3d/render/render_output.h"
#include "t3d/render/render_request.h"
#include "t3d/shading/background.h"
#include "t3d/shading/material.h"

namespace t3d::render {

/// What a renderer looks at; the parts outlive it.
struct Scene {
  field::Geometry* geometry;
  shading::Material* material;
  shading::Background* background;
};

/// What a renderer learns beside the scene by an optimizer of its own: a network that places samples.
struct OwnLearning {
  field::NamedTensors parameters;     ///< by their names in the renderer
  config::Node optimizer, scheduler;  ///< as system.optimizer; as system.scheduler, followed at every step
};

/// From cameras to images: threestudio's system.renderer. update_step is for what follows the step alone.
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
  /// Whether a rendering in training has this field of output_fields().
  virtual bool makes(const std::string& field) const = 0;
  /// Whether parts of an image, rendered one after another, are the image.
  virtual bool can_render_strips() const { return true; }
  /// What to change where a step runs out of memory: the end of an error's sentence.
  virtual std::string way_to_less_memory() const {
    return "Lower data.width, data.height or system.renderer.num_samples_per_ray";
  }
  /// In training gradients flow to the scene's parameters, unless the caller has switched them off, and
  /// random draws come from `rng`.
  virtual RenderOutput operator()(const RenderRequest& request, bool is_training, Rng& rng) = 0;
};

/// The table of renderers by `system.renderer_type`.
using RendererRegistry = Registry<Renderer, const Scene&, const field::BuildContext&>;
RendererRegistry& renderers();

}  // namespace t3d::render
