#pragma once

#include <functional>

#include "t3d/guidance/classifier_free.h"
#include "t3d/guidance/score_distillation.h"

namespace t3d::guidance {

/// Keys of guidances by a Stable Diffusion model.
struct StableDiffusionConfig : DistillationConfig {
  std::string pretrained_model_name_or_path = "stabilityai/stable-diffusion-2-1-base";
  double guidance_scale = 7.5;
  bool view_dependent_prompting = true;
  int64_t n_view = 1;

  template <class V>
  void visit_stable_diffusion(V& v) {
    v("pretrained_model_name_or_path", pretrained_model_name_or_path, config::any(),
      "name or path of the model; its latents are at most 64 wide here, as in the reference");
    v("guidance_scale", guidance_scale, config::any(), "s of classifier-free guidance");
    v("view_dependent_prompting", view_dependent_prompting, config::any(),
      "texts with the view's direction instead of the plain prompt");
    v("n_view", n_view, config::at_least(1),
      "adjacent rows that are views of one object, for models that see several at once");
    visit_common(v);
  }
};

/// Opens the model. A model trained on larger latents than 64 is used at 64 (512 pixels), a smaller one at
/// its own size.
std::shared_ptr<const Model> open_stable_diffusion(const StableDiffusionConfig& config,
                                                   const GuidanceContext& context);

/// What guidances by Stable Diffusion share. Models that take cameras serve too: they are told the views'
/// cameras, and with n_view above 1 see an object's views together.
class StableDiffusionDistillation : public ScoreDistillation {
 public:
  StableDiffusionDistillation(std::shared_ptr<const Model> model, const StableDiffusionConfig& config,
                              const StepRange::Rules& rules);
  int64_t n_views() const override { return n_views_; }

 protected:
  /// The pictures of a method that asks for `text_of` some views and takes `guided` of the answers.
  GuidancePictures show_guided(
      const Views& views, const Shown& shown, Rng& rng,
      const std::function<GuidanceText(const Views&)>& text_of,
      const std::function<at::Tensor(const GuidanceText&, const GuidedNoise&)>& guided) const;

 private:
  int64_t n_views_;
};

/// Score distillation sampling: Poole et al. 2022, DreamFusion, arXiv:2209.14988, eq. 3; and score Jacobian
/// chaining: Wang et al. 2022, arXiv:2212.00774, eq. 14.
///
///   SDS  gradient = w(t) (noise_hat - noise),   noise_hat = text + s (text - negative)
///   SJC  gradient = noise_hat - noise, without var_red noise_hat
///
/// threestudio's s is one less than the usual one; with Perp-Neg it is the usual one. One timestep for each
/// picture, or for an object's views. Cost: one denoiser call at batch 2B, 4B with Perp-Neg.
class StableDiffusionSds : public StableDiffusionDistillation {
 public:
  struct Config : StableDiffusionConfig {
    Weighting weighting_strategy = Weighting::Sds;
    bool sqrt_anneal = false;
    int64_t trainer_max_steps = 25000;
    bool use_img_loss = false, use_sjc = false, var_red = true;
    bool token_merging = false;
    config::Node token_merging_params{config::Node::Map{}};
    int64_t max_items_eval = 4;

    Config() {
      pretrained_model_name_or_path = "runwayml/stable-diffusion-v1-5";
      guidance_scale = 100;
    }
    template <class V>
    void visit(V& v) {
      visit_stable_diffusion(v);
      v("weighting_strategy", weighting_strategy, config::any(), "w: 1 - a_t, 1, or sqrt(a_t) (1 - a_t)");
      v("sqrt_anneal", sqrt_anneal, config::any(),
        "one timestep that falls with the root of the step (HiFA)");
      v("trainer_max_steps", trainer_max_steps, config::at_least(1), "the step at which sqrt_anneal ends");
      v("use_img_loss", use_img_loss, config::any(),
        "loss_sds_img too: distance of the pictures to the decoded prediction (HiFA)");
      v("use_sjc", use_sjc, config::any(), "score Jacobian chaining instead");
      v("var_red", var_red, config::any(), "SJC: subtract the noise that was added");
      v("token_merging", token_merging, config::ignored("every token is kept"), "merge similar tokens");
      v("token_merging_params", token_merging_params, config::harmless("every token is kept"), "how");
      v("max_items_eval", max_items_eval, config::any(),
        "pictures of a batch that system.freq.guidance_eval shows; -1: all");
    }
  };

  /// What is random in a call.
  struct Draws {
    Timesteps t;                  // [B]
    at::Tensor noise, vae_noise;  // [B,C,s,s]
  };

  StableDiffusionSds(const Config& config, const GuidanceContext& context)
      : StableDiffusionSds(config, open_stable_diffusion(config, context)) {}
  StableDiffusionSds(const Config& config, std::shared_ptr<const Model> model);

  GuidanceOutput operator()(const Views& views, const PromptEmbeddings& prompt, Rng& rng) override;
  GuidanceOutput distill(const Views& views, const PromptEmbeddings& prompt, const Draws& draws) const;
  GuidancePictures evaluate(const Views& views, const PromptEmbeddings& prompt, Rng& rng) const override;

 private:
  Draws draw(const Views& views, Rng& rng) const;
  at::Tensor guided(const GuidanceText& text, const GuidedNoise& noise) const;

  Config config_;
};

/// Gradient of the image loss of HiFA, Zhu and Zhuang 2023, arXiv:2305.18766, eq. 8:
/// w sqrt(a_t) / sqrt(1 - a_t) difference. difference [B,3,H,W], w [B,1,1,1].
at::Tensor image_gradient(const at::Tensor& difference, const at::Tensor& w,
                          const diffusion::NoiseSchedule& schedule, const at::Tensor& t);

}  // namespace t3d::guidance
