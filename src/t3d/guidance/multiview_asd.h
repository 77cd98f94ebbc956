#pragma once

#include "t3d/guidance/multiview.h"
#include "t3d/guidance/timestep_shift.h"

namespace t3d::guidance {

/// Asynchronous score distillation by a multi-view model: Ma et al. 2024, ScaleDreamer, arXiv:2407.02040,
/// section 3.3.
///
///   gradient = w(t) (noise_cfg(x_t, t) - noise_text(x_t+, t+)),   t+ = t + shift, the same noise in both
///
/// One t and one t+ for the whole batch. Cost: one denoiser call at batch 3B, 2B where t+ = t.
class MultiviewAsd : public MultiviewDistillation {
 public:
  struct Config : MultiviewConfig {
    Weighting weighting_strategy = Weighting::Sds;
    TimestepShift shift;

    Config() { guidance_scale = 7.5; }
    template <class V>
    void visit(V& v) {
      visit_multiview(v);
      v("weighting_strategy", weighting_strategy, config::any(), "w: 1 - a_t, 1, or sqrt(a_t) (1 - a_t)");
      shift.visit(v);
    }
  };

  /// What is random in a call.
  struct Draws {
    Timesteps t, later;           // [1]
    at::Tensor noise, vae_noise;  // [B,C,s,s]
  };

  MultiviewAsd(const Config& config, const GuidanceContext& context)
      : MultiviewAsd(config, open_multiview(config, context)) {}
  MultiviewAsd(const Config& config, std::shared_ptr<const Model> model)
      : MultiviewDistillation(std::move(model), config), config_(config) {}

  GuidanceOutput operator()(const Views& views, const PromptEmbeddings& prompt, Rng& rng) override;
  GuidanceOutput distill(const Views& views, const PromptEmbeddings& prompt, const Draws& draws) const;
  GuidancePictures evaluate(const Views& views, const PromptEmbeddings& prompt, Rng& rng) const override;

 private:
  Draws draw(const Views& views, Rng& rng) const;
  Config config_;
};

}  // namespace t3d::guidance
