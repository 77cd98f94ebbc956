#pragma once

#include <memory>

#include "t3d/guidance/lora_score.h"
#include "t3d/guidance/stable_diffusion_sds.h"
#include "t3d/ops/recorded_loss.h"

namespace t3d::guidance {

/// The score of the pictures that are being made, phi, and what of it is trained.
struct ParticleScore {
  std::shared_ptr<const diffusion::Denoiser> denoiser;  ///< cameras in condition.class_labels, see LoraScore
  diffusion::NoiseSchedule schedule{};                  ///< that it was trained on; on the model's device
  NamedTensors parameters;                              ///< empty: nothing to train, there is no loss_lora
  bool has_camera_embedding = false;
  double gradient_scale = 1;  ///< see LoraScore
};

/// Variational score distillation: Wang et al. 2023, ProlificDreamer, arXiv:2305.16213, algorithm 2.
///
///   gradient  = (1 - a_t) (noise_cfg(x_t) - noise_phi(x_t, camera))
///   loss_lora = mean (phi(x_s, s, camera) - target_s)^2 at timesteps and noise of its own
///
/// Particles come as rows of one batch, or in turn: phi is shared by all that this object is called with.
/// With a model that sees several views at once, set n_view; phi then sees them together too.
/// Cost: denoiser calls at batch 2B and B without, and at B with gradients; on CUDA all are recorded once and
/// replayed.
class StableDiffusionVsd : public StableDiffusionDistillation {
 public:
  struct Config : StableDiffusionConfig {
    std::string pretrained_model_name_or_path_lora = "stabilityai/stable-diffusion-2-1";
    double guidance_scale_lora = 1;
    bool lora_cfg_training = true;
    int64_t lora_n_timestamp_samples = 1;
    bool sqrt_anneal = false;
    int64_t trainer_max_steps = 25000;
    bool use_img_loss = false;
    std::string camera_condition_type = "extrinsics";
    bool token_merging = false;
    config::Node token_merging_params{config::Node::Map{}};
    int64_t max_items_eval = 4;
    std::optional<std::string> weights;

    template <class V>
    void visit(V& v) {
      visit_stable_diffusion(v);
      v("pretrained_model_name_or_path_lora", pretrained_model_name_or_path_lora, config::any(),
        "the model that low-rank weights are added to; the same name as above: one UNet serves both");
      v("guidance_scale_lora", guidance_scale_lora, config::any(),
        "s between the prediction with the camera and without; 1: with it alone");
      v("lora_cfg_training", lora_cfg_training, config::any(),
        "train without the camera in a tenth of the steps");
      v("lora_n_timestamp_samples", lora_n_timestamp_samples, config::at_least(1),
        "timesteps for each picture in a training step of the low-rank weights");
      v("sqrt_anneal", sqrt_anneal, config::any(),
        "one timestep that falls with the root of the step (HiFA)");
      v("trainer_max_steps", trainer_max_steps, config::at_least(1), "the step at which sqrt_anneal ends");
      v("use_img_loss", use_img_loss, config::any(),
        "loss_vsd_img too: distance of the two decoded predictions (HiFA)");
      v("camera_condition_type", camera_condition_type, config::one_of({"extrinsics", "mvp"}),
        "the 16 numbers of a camera: camera_to_world, or the matrix to clip space");
      v("token_merging", token_merging, config::ignored("every token is kept"), "merge similar tokens");
      v("token_merging_params", token_merging_params, config::harmless("every token is kept"), "how");
      v("max_items_eval", max_items_eval, config::any(),
        "pictures of a batch that system.freq.guidance_eval shows; -1: all");
      v("weights", weights, config::any(), "start from path/to/last.ckpt:guidance; a system reads it");
    }
  };

  /// What is random in a call.
  struct Draws {
    Timesteps t;                  // [B]
    at::Tensor noise, vae_noise;  // [B,C,s,s]
    Timesteps train_t;            // [B n], n = lora_n_timestamp_samples
    at::Tensor train_noise;       // [B n,C,s,s]
    bool drops_camera = false;
  };

  StableDiffusionVsd(const Config& config, const GuidanceContext& context);
  StableDiffusionVsd(const Config& config, std::shared_ptr<const Model> model, ParticleScore phi);

  GuidanceOutput operator()(const Views& views, const PromptEmbeddings& prompt, Rng& rng) override;
  GuidanceOutput distill(const Views& views, const PromptEmbeddings& prompt, const Draws& draws) const;
  GuidancePictures evaluate(const Views& views, const PromptEmbeddings& prompt, Rng& rng) const override;
  void collect(const std::string& prefix, NamedTensors& parameters, NamedTensors& buffers) const override;

  /// For tests that keep a closed-form phi up to date.
  void set_phi(ParticleScore phi);

 private:
  Draws draw(const Views& views, Rng& rng) const;
  at::Tensor label_of(const Views& views) const;
  /// phi's raw output at x_t [B,C,s,s] for a text [1,T,C]; undefined labels and cameras: without the camera.
  at::Tensor ask_phi(const at::Tensor& noisy, const at::Tensor& t, const at::Tensor& text,
                     const at::Tensor& labels, const at::Tensor& cameras) const;
  at::Tensor phi_noise(const Views& views, const PromptEmbeddings& prompt, const at::Tensor& noisy,
                       const at::Tensor& t) const;
  at::Tensor train_loss(const Views& views, const PromptEmbeddings& prompt, const at::Tensor& x,
                        const Draws& draws) const;

  Config config_;
  ParticleScore phi_;
  std::unique_ptr<ops::RecordedLoss> loss_of_phi_;  // of noisy, t, text, labels, cameras, target
};

}  // namespace t3d::guidance
