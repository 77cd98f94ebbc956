#pragma once

#include "t3d/system/system.h"

namespace t3d::system {

/// Lin et al. 2022, Magic3D, arXiv:2211.10440: a radiance field at a low resolution, then (refinement) a mesh
/// with its texture at a high one, which starts from it (geometry_convert_from).
class Magic3dSystem : public System {
 public:
  struct Config : SystemConfig {
    bool refinement = false;
    template <class V>
    void visit(V& v) {
      visit_common(v);
      v("refinement", refinement, config::any(), "the second stage, on a mesh");
    }
  };
  /// Throws UserError for a refinement of a geometry without a surface.
  Magic3dSystem(const Config& config, const SystemContext& context);

 protected:
  const StepPlan& plan() const override;

 private:
  bool is_refinement_;
};

}  // namespace t3d::system
