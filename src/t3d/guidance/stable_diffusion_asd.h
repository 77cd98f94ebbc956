#pragma once

#include "t3d/guidance/stable_diffusion_sds.h"
#include "t3d/guidance/timestep_shift.h"

namespace t3d::guidance {

/// Asynchronous score distillation by Stable Diffusion: Ma et al. 2024, ScaleDreamer, arXiv:2407.02040,
/// section 3.3. As MultiviewAsd, with a timestep of its own for each picture, and with Perp-Neg where both
/// the prompt processor and guidance_perp_neg ask for it. plus_ratio 0 is classifier score distillation: Yu
/// et al. 2023, arXiv:2310.19415. Cost: one denoiser call at batch 3B, 5B with Perp-Neg, B less where no
/// timestep is shifted.
class StableDiffusionAsd : public StableDiffusionDistillation {
 public:
  struct Config : StableDiffusionConfig {
    Weighting weighting_strategy = Weighting::Sds;
    TimestepShift shift;
    double guidance_perp_neg = 0;

    Config() { enable_channels_last_format = true; }
    template <class V>
    void visit(V& v) {
      visit_stable_diffusion(v);
      v("weighting_strategy", weighting_strategy, config::any(), "w: 1 - a_t, 1, or sqrt(a_t) (1 - a_t)");
      shift.visit(v);
      v("guidance_perp_neg", guidance_perp_neg, config::any(),
        "factor of Perp-Neg's weights, below 0 to push away; 0 switches Perp-Neg off");
    }
  };

  /// What is random in a call.
  struct Draws {
    Timesteps t, later;           // [B]
    at::Tensor noise, vae_noise;  // [B,C,s,s]
  };

  StableDiffusionAsd(const Config& config, const GuidanceContext& context)
      : StableDiffusionAsd(config, open_stable_diffusion(config, context)) {}
  StableDiffusionAsd(const Config& config, std::shared_ptr<const Model> model)
      : StableDiffusionDistillation(std::move(model), config,
                                    {config.min_step_percent, config.max_step_percent}),
        config_(config) {}

  GuidanceOutput operator()(const Views& views, const PromptEmbeddings& prompt, Rng& rng) override;
  GuidanceOutput distill(const Views& views, const PromptEmbeddings& prompt, const Draws& draws) const;
  GuidancePictures evaluate(const Views& views, const PromptEmbeddings& prompt, Rng& rng) const override;

 private:
  Draws draw(const Views& views, Rng& rng) const;
  GuidanceText text_of(const PromptEmbeddings& prompt, const Views& views) const;
  at::Tensor guided(const GuidanceText& text, const GuidedNoise& noise) const;
  Config config_;
};

}  // namespace t3d::guidance
