#pragma once

#include "t3d/render/projected_surface.h"
#include "t3d/render/renderer.h"
#include "t3d/render/unwrapped_surface.h"

namespace t3d::render {

/// A surface of triangles, projected and shaded pixel by pixel: threestudio's nvdiff-rasterizer. Silhouettes
/// are antialiased, which is what carries an image's gradient to the outline (Laine et al. 2020, Modular
/// Primitives for High-Performance Differentiable Rendering, arXiv:2011.03277).
///
/// Renders opacity and comp_normal always, comp_rgb, comp_rgb_bg and depth where colour is wanted, and hands
/// on the mesh for the terms that look at it. The background is seen along each pixel's own ray.
class MeshRasterizer : public Renderer {
 public:
  struct Config {
    float radius = 1;
    std::string context_type = "gl";
    template <class V>
    void visit(V& v) {
      using namespace config;
      v("radius", radius, harmless("a surface is drawn wherever it is"), "of the scene");
      v("context_type", context_type, harmless("both mean the same rasterizer", one_of({"gl", "cuda"})),
        "OpenGL's or CUDA's");
    }
  };

  /// Throws UserError where the geometry has no surface.
  MeshRasterizer(const Config& config, const Scene& scene, const field::BuildContext& context);

  bool makes(const std::string& field) const override;
  /// Of whole images alone: edges are blended across pixels.
  bool can_render_strips() const override { return false; }
  std::string way_to_less_memory() const override {
    return "Lower data.width, data.height, data.batch_size or system.geometry.isosurface_resolution";
  }
  /// Throws UserError where there is no surface, and where material and background have different channels.
  RenderOutput operator()(const RenderRequest& request, bool is_training, Rng& rng) override;

  /// The same of a surface that has been projected.
  RenderOutput draw(const ProjectedSurface& surface, const RenderRequest& request, bool is_training,
                    Rng& rng) const;

 private:
  /// comp_rgb_bg, comp_rgb and depth.
  void shade(const ProjectedSurface& surface, const at::Tensor& normals, const RenderRequest& request,
             bool is_training, Rng& rng, RenderOutput& out) const;

  Scene scene_;
  const field::SurfaceField& surface_;
  UnwrappedSurface unwrapped_;
};

}  // namespace t3d::render
