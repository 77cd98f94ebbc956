#pragma once

#include "t3d/system/system.h"

namespace t3d::system {

/// Chen et al. 2023, Fantasia3D, arXiv:2303.13873: shape and appearance apart. The shape is learned from
/// normals, which at first are taken for latents together with the mask; then (texture) its material.
class Fantasia3dSystem : public System {
 public:
  struct Config : SystemConfig {
    int64_t latent_steps = 1000;
    bool texture = false;
    template <class V>
    void visit(V& v) {
      visit_common(v);
      v("latent_steps", latent_steps, config::non_negative(),
        "steps whose normals and mask are taken for latents");
      v("texture", texture, config::any(), "the second stage: the material of a shape that stays");
    }
  };
  /// Throws UserError where the geometry has no surface.
  Fantasia3dSystem(const Config& config, const SystemContext& context);

  /// rgb in the second stage, opacity, normal.
  std::vector<NamedPicture> pictures(const render::RenderOutput& out) const override;

 protected:
  const StepPlan& plan() const override;

 private:
  int64_t latent_steps_;
  bool is_texture_;
};

}  // namespace t3d::system
