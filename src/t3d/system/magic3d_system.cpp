#include "t3d/system/magic3d_system.h"

namespace t3d::system {
namespace {

const StepPlan kField = {GuidancePass{}, "orient", "sparsity", "opaque"};
const StepPlan kMesh = {GuidancePass{}, "normal_consistency", "laplacian_smoothness"};

}  // namespace

Magic3dSystem::Magic3dSystem(const Config& config, const SystemContext& context)
    : System(config, context), is_refinement_(config.refinement) {
  if (is_refinement_) field::need_surface(geometry(), "system.refinement", "system.refinement=false");
}

const StepPlan& Magic3dSystem::plan() const {
  return is_refinement_ ? kMesh : kField;
}

}  // namespace t3d::system
