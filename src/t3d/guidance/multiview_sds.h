#pragma once

#include "t3d/guidance/multiview.h"

namespace t3d::guidance {

/// Score distillation by a multi-view model, by its clean picture: Shi et al. 2023, MVDream,
/// arXiv:2308.16512, section 3.4. docs/score_distillation.md has the formulas.
///
///   x_hat = r f x_cfg + (1 - r) x_cfg,   f = std(x_text) / std(x_cfg) over an object's views
///   loss_sds = 0.5 |x - stopgrad(x_hat)|^2 / B
///   loss_sds_img = 0.5 |image - stopgrad(D(x_hat) + m)|^2 / B,   D the decoder, m the median brightness of
///                                                                image - D(x_hat) in each picture
///
/// One timestep for the whole batch. Cost: one denoiser call at batch 2B.
class MultiviewSds : public MultiviewDistillation {
 public:
  struct Config : MultiviewConfig {
    int64_t image_size = 256;
    bool recon_loss = true;
    double recon_std_rescale = 0.5;
    bool use_img_loss = false;

    template <class V>
    void visit(V& v) {
      visit_multiview(v);
      v("image_size", image_size, config::ignored("the size is the model's own", config::at_least(1)),
        "pixels of the pictures that the model sees");
      v("recon_loss", recon_loss, config::any(),
        "distance to the predicted clean latents; false: the gradient (1 - a_t) (noise_cfg - noise)");
      v("recon_std_rescale", recon_std_rescale, config::in_range(0, 1),
        "r: how far the guided prediction's spread is brought back to the unguided one's");
      v("use_img_loss", use_img_loss, config::any(),
        "loss_sds_img too: distance of the pictures to the decoded prediction, but for its brightness");
    }
  };

  /// What is random in a call.
  struct Draws {
    Timesteps t;                  // [1]
    at::Tensor noise, vae_noise;  // [B,C,s,s]
  };

  MultiviewSds(const Config& config, const GuidanceContext& context)
      : MultiviewSds(config, open_multiview(config, context)) {}
  MultiviewSds(const Config& config, std::shared_ptr<const Model> model)
      : MultiviewDistillation(std::move(model), config), config_(config) {}

  GuidanceOutput operator()(const Views& views, const PromptEmbeddings& prompt, Rng& rng) override;
  GuidanceOutput distill(const Views& views, const PromptEmbeddings& prompt, const Draws& draws) const;
  GuidancePictures evaluate(const Views& views, const PromptEmbeddings& prompt, Rng& rng) const override;

 private:
  Draws draw(const Views& views, Rng& rng) const;
  at::Tensor clean_target(const at::Tensor& guided, const at::Tensor& text, const at::Tensor& noisy,
                          const at::Tensor& t) const;

  Config config_;
};

}  // namespace t3d::guidance
