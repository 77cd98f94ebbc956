#pragma once

#include "t3d/diffusion/unet_blocks.h"

namespace t3d::diffusion {

/// Optional inputs of a UNet call.
struct UNetExtra {
  at::Tensor class_labels;  ///< see ClassEmbedding; undefined: the class embedding is left out
  at::Tensor camera;        ///< [B,16], MVDream; undefined: the camera embedding is left out
  int64_t n_views = 1;      ///< rows that are views of one object, adjacent; they attend to each other
  const Lora* lora = nullptr;
  double lora_scale = 1;  ///< 0: as without
};

/// The denoiser of Stable Diffusion 1 and 2 and of MVDream: diffusers' UNet2DConditionModel, with cameras and
/// attention across views. Rombach et al. 2022, arXiv:2112.10752; Shi et al. 2023, arXiv:2308.16512.
class UNet {
 public:
  /// Does not call weights.check().
  UNet(const UNetConfig& config, const Weights& weights);

  ///   sample     [B,4,H,W], any H and W of at least 1; any float type
  ///   timesteps  [B] or [1], 0..999, of any type; fractions are allowed
  ///   text       [B,T,text_channels]
  ///   returns    [B,4,H,W], in sample's type: noise or velocity, as the model was trained
  ///
  /// Throws UserError for inputs that do not fit the model. Differentiable in every input, in the weights
  /// and in the LoRA weights that require gradients.
  at::Tensor operator()(const at::Tensor& sample, const at::Tensor& timesteps, const at::Tensor& text,
                        const UNetExtra& extra = {}) const;

  /// For a model that is done with training: brings weights on the CPU, in float or in bfloat16 where it is fast
  /// at that, into the order of its kernels, once instead of at every call, which makes calls up to several times
  /// as fast. Does nothing elsewhere.
  void pack();

  const UNetConfig& config() const { return config_; }
  /// By name, shared with the model. After pack() most hold NaN and only their shapes mean something.
  const std::map<std::string, at::Tensor>& parameters() const { return weights_.parameters(); }

  /// Blocks keep only their inputs and run again in the backward pass: less memory, one more forward pass.
  bool recompute = false;
  /// The type of the activations; see arithmetic_type.
  at::ScalarType compute_type;
  /// What blocks' results are added up in; none: sum_type(compute_type). In bfloat16 a network trains as
  /// well and a sixth faster; its answers lie further from single precision.
  c10::optional<at::ScalarType> summed_in;

 private:
  at::Tensor time_embedding(const at::Tensor& timesteps, int64_t n, const UNetExtra& extra) const;
  void check_inputs(const at::Tensor& sample, const at::Tensor& timesteps, const at::Tensor& text,
                    const UNetExtra& extra) const;
  std::vector<at::Tensor> parameters_of(const UNetBlock& block, const Lora* lora) const;

  struct Mlp {
    Linear linear_1, linear_2;
    Mlp(const Weights& w, int64_t n_in, int64_t n_out)
        : linear_1(w.at("linear_1"), n_in, n_out), linear_2(w.at("linear_2"), n_out, n_out) {}
    at::Tensor operator()(const at::Tensor& x) const;
  };

  UNetConfig config_;
  Weights weights_;
  Conv2d conv_in_;
  Mlp time_;
  std::optional<Mlp> class_mlp_, camera_;
  std::optional<Linear> class_linear_;
  std::optional<Embedding> class_table_;
  std::vector<UNetBlock> down_;  // outermost first
  UNetBlock middle_;
  std::vector<UNetBlock> up_;  // innermost first
  GroupNorm norm_out_;
  Conv2d conv_out_;
  at::ScalarType packed_as_ = at::ScalarType::Undefined;
};

/// Sinusoids of the timestep, Vaswani et al. 2017, section 3.5: t [B] -> [B,channels] float.
at::Tensor timestep_sinusoids(const at::Tensor& t, int64_t channels, bool cosine_first,
                              double frequency_shift);

}  // namespace t3d::diffusion
