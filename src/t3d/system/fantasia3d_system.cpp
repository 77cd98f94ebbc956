#include "t3d/system/fantasia3d_system.h"

#include <ATen/ATen.h>

namespace t3d::system {
namespace {

/// [B,H,W,4]: normals in [-1,1], and opacity.
at::Tensor normals_and_mask(const render::RenderOutput& out) {
  return at::cat({out.comp_normal * 2 - 1, out.opacity}, -1);
}

const StepPlan kLatents = {GuidancePass{"comp_normal", true, 1, "", normals_and_mask}, "normal_consistency"};
const StepPlan kNormals = {GuidancePass{"comp_normal"}, "normal_consistency"};
const StepPlan kMaterial = {GuidancePass{}};

}  // namespace

Fantasia3dSystem::Fantasia3dSystem(const Config& config, const SystemContext& context)
    : System(config, context), latent_steps_(config.latent_steps), is_texture_(config.texture) {
  field::need_surface(geometry(), "fantasia3d-system", "another system_type");
}

const StepPlan& Fantasia3dSystem::plan() const {
  return is_texture_ ? kMaterial : step() < latent_steps_ ? kLatents : kNormals;
}

std::vector<NamedPicture> Fantasia3dSystem::pictures(const render::RenderOutput& out) const {
  auto all = System::pictures(out);
  std::swap(all[all.size() - 1], all[all.size() - 2]);  // opacity comes before the normals here
  return all;
}

}  // namespace t3d::system
