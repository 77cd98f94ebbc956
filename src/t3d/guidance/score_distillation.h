#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "t3d/core/config/schedule_field.h"
#include "t3d/guidance/guidance.h"
#include "t3d/guidance/guidance_eval.h"
#include "t3d/guidance/timesteps.h"

namespace t3d::guidance {

/// Keys that every guidance has.
struct DistillationConfig {
  std::optional<config::Schedule> grad_clip;
  config::Schedule min_step_percent{0.02}, max_step_percent{0.98};
  bool half_precision_weights = true;
  bool cpu_bfloat16 = false;
  bool enable_memory_efficient_attention = false, enable_sequential_cpu_offload = false;
  bool enable_attention_slicing = false, enable_channels_last_format = false;

  template <class V>
  void visit_common(V& v) {
    v("grad_clip", grad_clip, config::any(),
      "bound of the gradient's elements, scheduled; null: none. NaN counts as 0 either way");
    v("min_step_percent", min_step_percent, config::in_range(0, 1),
      "lower end of the timesteps drawn, as a share of all, scheduled");
    v("max_step_percent", max_step_percent, config::in_range(0, 1), "upper end, scheduled");
    v("half_precision_weights", half_precision_weights, config::any(),
      "float16 weights on CUDA; on a CPU they are float32");
    v("cpu_bfloat16", cpu_bfloat16, config::any(),
      "weights and activations of the diffusion model in bfloat16 where it runs on a CPU");
    v("enable_memory_efficient_attention", enable_memory_efficient_attention,
      config::harmless("attention never stores its matrix here"), "attention with less memory");
    v("enable_sequential_cpu_offload", enable_sequential_cpu_offload,
      config::harmless("weights stay on the device"), "keep weights on the host");
    v("enable_attention_slicing", enable_attention_slicing,
      config::harmless("attention never stores its matrix here"), "attention in parts");
    v("enable_channels_last_format", enable_channels_last_format,
      config::harmless("kernels choose their own order"), "channels last");
  }
};

/// How much a timestep counts: sds 1 - a_t, uniform 1, fantasia3d sqrt(a_t) (1 - a_t), in the notation of
/// NoiseSchedule.
enum class Weighting { Sds, Uniform, Fantasia3d };
std::vector<std::pair<Weighting, const char*>> enum_names(const Weighting*);

/// [B,1,1,1] float on the schedule's device.
at::Tensor weights_of(Weighting weighting, const diffusion::NoiseSchedule& schedule, const at::Tensor& t);

/// What the guidances have in common: from pictures to latents, from a gradient to a loss.
class ScoreDistillation : public Guidance {
 public:
  ScoreDistillation(std::shared_ptr<const Model> model, const DistillationConfig& config,
                    const StepRange::Rules& rules);

  void update_step(int64_t step) override;
  at::Tensor decode(const at::Tensor& latents) const override;
  const Model& model() const override { return *model_; }

 protected:
  /// Checks and brings into the model's form: [B,C,S,S] in [0,1] with the graph, S pixels or latents.
  at::Tensor pictures(const Views& views) const;
  /// Scaled latents [B,C,s,s] of what `pictures` gave; noise [B,C,s,s] for sampling the posterior, not looked
  /// at for latents.
  at::Tensor latents_of(const at::Tensor& pictures, bool is_latent, const at::Tensor& noise) const;
  /// [B,3,S,S] in [0,1] of scaled latents [B,C,s,s]; no gradients.
  at::Tensor pictures_of(const at::Tensor& latents) const;
  /// The shape of the latents of `views`.
  std::vector<int64_t> latent_shape(const Views& views) const;
  void check_rows(const Views& views) const;

  /// A timestep for each object of `n_rows` rows, the same for its views, as multi-view models were trained.
  Timesteps draw_steps(int64_t n_rows, Rng& rng) const;
  /// One number of `of_objects` for each of an object's views.
  Timesteps each_view(const std::vector<int64_t>& of_objects) const;

  /// [B,16] what a model that takes cameras is told of these; undefined for any other model, and where the
  /// caller knows no cameras.
  at::Tensor cameras_of(const Views& views) const;

  /// NaN -> 0, infinities -> the largest numbers, elements clamped to +-grad_clip.
  at::Tensor cleaned(const at::Tensor& gradient) const;
  /// Adds 0.5 |x - stopgrad(x - gradient)|^2 / B under `name`: its gradient by x is gradient / B.
  static void add_loss(GuidanceOutput& out, const std::string& name, const at::Tensor& x,
                       const at::Tensor& gradient);
  /// grad_norm, min_step, max_step.
  void add_metrics(GuidanceOutput& out, const at::Tensor& gradient) const;

  /// What of a batch is shown: its draws, and how many of its rows (whole objects; below 0: all).
  struct Shown {
    const Timesteps& t;           // [B] or [1]
    at::Tensor noise, vae_noise;  // [B,C,s,s]
    int64_t max_items = 4;
  };
  /// The pictures of `evaluate`; `guided` gives the guided noise for some of the views.
  GuidancePictures show(const Views& views, const Shown& shown, Rng& rng,
                        const std::function<NoiseAt(const Views&)>& guided) const;

  const StepRange& range() const { return range_; }
  const diffusion::NoiseSchedule& schedule() const { return model_->schedule; }
  c10::Device device() const { return model_->device; }
  const std::shared_ptr<const Model>& shared_model() const { return model_; }

 private:
  std::shared_ptr<const Model> model_;
  std::optional<config::Schedule> grad_clip_;
  std::optional<double> clip_;
  StepRange range_;
};

/// Opens the model that a configuration names.
std::shared_ptr<const Model> open_for(const DistillationConfig& config, const std::string& name,
                                      const GuidanceContext& context);

}  // namespace t3d::guidance
