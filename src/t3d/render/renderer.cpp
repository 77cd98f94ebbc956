#include "t3d/render/renderer.h"

#include "t3d/render/mesh_rasterizer.h"
#include "t3d/render/nerf_volume_renderer.h"
#include "t3d/render/neus_volume_renderer.h"
#include "t3d/render/patch_renderer.h"

namespace t3d::render {

void Renderer::update_grid(int64_t) {}

std::optional<OwnLearning> Renderer::own_learning() const {
  return std::nullopt;
}

at::Tensor Renderer::take_own_loss() {
  return {};
}

RendererRegistry& renderers() {
  using R = RendererRegistry;
  static R table(
      "renderer", "from rays to images (system.renderer_type)",
      {R::entry<NerfVolumeRenderer>("nerf-volume-renderer", "emission and absorption of a density"),
       R::entry<NeusVolumeRenderer>("neus-volume-renderer", "the surface of a signed distance, softened"),
       R::entry<MeshRasterizer>("nvdiff-rasterizer", "a surface of triangles, with antialiased outlines"),
       R::entry<PatchRenderer>("patch-renderer", "a small picture, and one patch of it at full size")});
  return table;
}

}  // namespace t3d::render
