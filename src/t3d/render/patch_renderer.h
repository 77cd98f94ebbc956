#pragma once

#include <string>

#include "t3d/render/renderer.h"

namespace t3d::render {

/// In training, a picture of which one patch is rendered ray by ray and the rest is a smaller rendering made
/// larger: threestudio's patch-renderer, which shows the guidance a whole picture for the memory of few rays.
/// What belongs to samples is the smaller rendering's. Outside of training, the base renderer's own picture.
class PatchRenderer : public Renderer {
 public:
  struct Config {
    int64_t patch_size = 128;
    std::string base_renderer_type;
    config::Node base_renderer;
    bool global_detach = false;
    int64_t global_downsample = 4;
    template <class V>
    void visit(V& v) {
      using namespace config;
      v("patch_size", patch_size, in_range(1, 65536), "pixels along the patch's side");
      v("base_renderer_type", base_renderer_type, required(), "what renders both; see renderer");
      v("base_renderer", base_renderer, any(), "its keys");
      v("global_detach", global_detach, any(), "pixels outside of the patch give no gradient");
      v("global_downsample", global_downsample, in_range(1, 1024), "how much smaller the whole is rendered");
    }
  };

  PatchRenderer(const Config& config, const Scene& scene, const field::BuildContext& context);

  bool makes(const std::string& field) const override { return base_->makes(field); }
  RenderOutput operator()(const RenderRequest& request, bool is_training, Rng& rng) override;
  bool can_render_strips() const override { return false; }
  std::string way_to_less_memory() const override {
    return "Lower system.renderer.patch_size, or raise global_downsample";
  }
  std::optional<OwnLearning> own_learning() const override;
  at::Tensor take_own_loss() override;
  void drop_own_loss() override;
  void update_step(int64_t step) override;
  void update_grid(int64_t step) override;
  void collect(const std::string& prefix, field::NamedTensors& parameters,
               field::NamedTensors& buffers) const override;

 private:
  Config config_;
  std::unique_ptr<Renderer> base_;
};

}  // namespace t3d::render
