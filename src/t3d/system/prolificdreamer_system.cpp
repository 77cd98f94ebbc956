#include "t3d/system/prolificdreamer_system.h"

namespace t3d::system {
namespace {

const StepPlan kShape = {GuidancePass{"comp_normal"}, "normal_consistency", "laplacian_smoothness"};
const StepPlan kTexture = {GuidancePass{}};

}  // namespace

ProlificDreamerSystem::ProlificDreamerSystem(const Config& config, const SystemContext& context)
    : DreamFusionSystem(config, context), stage_(config.stage) {
  if (stage_ != "coarse") field::need_surface(geometry(), "system.stage=" + stage_, "system.stage=coarse");
}

const StepPlan& ProlificDreamerSystem::plan() const {
  return stage_ == "geometry" ? kShape : stage_ == "texture" ? kTexture : DreamFusionSystem::plan();
}

}  // namespace t3d::system
