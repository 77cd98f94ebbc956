#pragma once

#include "t3d/system/dreamfusion_system.h"

namespace t3d::system {

/// Wang et al. 2023, ProlificDreamer, arXiv:2305.16213. Three stages, each a run of its own that starts from
/// the one before (geometry_convert_from): a radiance field; the shape of a mesh, by its normals; its
/// texture.
class ProlificDreamerSystem : public DreamFusionSystem {
 public:
  struct Config : DreamFusionSystem::Config {
    std::string stage = "coarse";
    bool visualize_samples = false;
    template <class V>
    void visit(V& v) {
      visit_common(v);
      v("stage", stage, config::one_of({"coarse", "geometry", "texture"}),
        "what is learned: all of a field, a mesh's shape, or its colours");
      v("visualize_samples", visualize_samples,
        config::ignored(
            "no pictures are sampled from the model; system.freq.guidance_eval shows what it sees"),
        "sample pictures from the model");
    }
  };
  /// Throws UserError where the stage needs a surface and the geometry has none.
  ProlificDreamerSystem(const Config& config, const SystemContext& context);

 protected:
  const StepPlan& plan() const override;

 private:
  std::string stage_;
};

}  // namespace t3d::system
