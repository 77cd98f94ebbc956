#pragma once

#include "t3d/system/system.h"

namespace t3d::system {

/// Guidance on the picture and the five terms that look at the rendering: Poole et al. 2022, DreamFusion,
/// arXiv:2209.14988. The base of the systems that change the plan.
class DreamFusionSystem : public System {
 public:
  struct Config : SystemConfig {
    template <class V>
    void visit(V& v) {
      visit_common(v);
    }
  };
  DreamFusionSystem(const Config& config, const SystemContext& context) : System(config, context) {}

 protected:
  const StepPlan& plan() const override;
};

}  // namespace t3d::system
