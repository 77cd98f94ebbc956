#pragma once

#include "t3d/guidance/score_distillation.h"

namespace t3d::guidance {

/// Keys of guidances by a model that sees several views of one object at once.
struct MultiviewConfig : DistillationConfig {
  std::string model_name = "sd-v2.1-base-4view";
  std::optional<std::string> ckpt_path;
  double guidance_scale = 50;
  int64_t n_view = 4;
  std::string camera_condition_type = "rotation";
  bool view_dependent_prompting = false;

  template <class V>
  void visit_multiview(V& v) {
    v("model_name", model_name, config::any(), "name or path of a model that takes cameras");
    v("ckpt_path", ckpt_path, config::any(), "its file or folder, where the name is not enough");
    v("guidance_scale", guidance_scale, config::any(),
      "s of classifier-free guidance, u + s (e - u): 1 is the prompt alone");
    v("n_view", n_view, config::at_least(1), "adjacent rows of a batch that are views of one object");
    v("camera_condition_type", camera_condition_type, config::one_of({"rotation"}),
      "what the model is told of the cameras: camera_to_world at unit distance");
    v("view_dependent_prompting", view_dependent_prompting, config::any(),
      "texts with the view's direction instead of the plain prompt");
    visit_common(v);
  }
};

/// What both guidances by MVDream-like models share. The latents' size comes from the model: 32 for MVDream
/// and for the toybox, whose autoencoders make them of 256 and 128 pixels.
class MultiviewDistillation : public ScoreDistillation {
 public:
  MultiviewDistillation(std::shared_ptr<const Model> model, const MultiviewConfig& config);

  int64_t n_views() const override { return n_views_; }

 protected:
  /// What the denoiser is told in `n_blocks` calls on all views at once, each with its own text.
  ///   text  [n_blocks B,T,C]
  diffusion::Condition condition(const Views& views, at::Tensor text, int64_t n_blocks) const;
  at::Tensor text_of(const Views& views, const PromptEmbeddings& prompt) const;  // [2B,T,C]
  /// Guided on the raw output, as noise.
  NoiseAt guided_noise(const Views& views, const PromptEmbeddings& prompt) const;
  double guidance_scale() const { return guidance_scale_; }

 private:
  double guidance_scale_;
  int64_t n_views_;
  bool view_dependent_;
};

std::shared_ptr<const Model> open_multiview(const MultiviewConfig& config, const GuidanceContext& context);

}  // namespace t3d::guidance
