#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "t3d/diffusion/resnet.h"

namespace t3d::diffusion {

/// Shape of an AutoencoderKL. The defaults are Stable Diffusion 1 and 2.
struct AutoencoderConfig {
  int64_t image_channels = 3, latent_channels = 4;
  std::vector<int64_t> block_channels{128, 256, 512, 512};
  int64_t layers_per_block = 2;
  int64_t norm_groups = 32;
  double scaling_factor = 0.18215;  ///< latents are the posterior's samples times this
  bool has_quant_conv = true, has_post_quant_conv = true;

  /// Pixels per latent along an edge.
  int64_t reduction() const { return int64_t{1} << (block_channels.size() - 1); }
};

/// From diffusers' config.json. Throws UserError for another architecture.
AutoencoderConfig autoencoder_config_from_json(const nlohmann::json& json, const std::string& where);
AutoencoderConfig read_autoencoder_config(const std::string& path);
nlohmann::json autoencoder_config_json(const AutoencoderConfig& config);

/// The Gaussian that an image is encoded to.
struct Posterior {
  at::Tensor mean;    // [B,4,h,w]
  at::Tensor logvar;  // [B,4,h,w], in [-30,20]
  /// mean + exp(logvar/2) noise; noise [B,4,h,w] standard normal.
  at::Tensor sample(const at::Tensor& noise) const;
};

/// Single-head attention among the pixels, in the middle of both halves.
struct PixelAttention {
  PixelAttention(const Weights& w, int64_t n_channels, int64_t n_groups);
  /// In x's type; what is added is computed in `arithmetic`.
  at::Tensor operator()(const at::Tensor& x, at::ScalarType arithmetic) const;

  GroupNorm group_norm;
  at::Tensor weight[4], bias[4];  // q, k, v, out: [C,C], [C]
};

/// Stable Diffusion's image encoder and decoder, diffusers' AutoencoderKL. Rombach et al. 2022,
/// arXiv:2112.10752, section 3.1. Differentiable in its inputs and parameters.
class Autoencoder {
 public:
  /// Does not call weights.check().
  Autoencoder(const AutoencoderConfig& config, const Weights& weights);

  /// image [B,3,H,W] in [-1,1], H and W at least reduction(). Sizes that do not divide are rounded down.
  /// Answers in image's type. Throws UserError for other shapes.
  Posterior encode(const at::Tensor& image) const;
  /// z [B,4,h,w], unscaled -> [B,3,H,W] about [-1,1], not clamped.
  at::Tensor decode(const at::Tensor& z) const;
  /// scaling_factor * encode(image).sample(noise), and decode(latents / scaling_factor).
  at::Tensor to_latents(const at::Tensor& image, const at::Tensor& noise) const;
  at::Tensor from_latents(const at::Tensor& latents) const;

  /// See UNet::pack.
  void pack();

  const AutoencoderConfig& config() const { return config_; }
  /// By name, shared with the model. After pack() most hold NaN and only their shapes mean something.
  const std::map<std::string, at::Tensor>& parameters() const { return weights_.parameters(); }

  /// One picture of the batch at a time: the same result with less memory.
  bool slicing = false;
  /// Pictures larger than a tile go through in overlapping tiles that are blended linearly: a result near the
  /// whole one (norms and attention see one tile only), with memory that does not grow with the picture.
  bool tiling = false;
  int64_t tile_pixels = 512, tile_overlap_pixels = 128;
  /// Blocks keep only their inputs and run again in the backward pass.
  bool recompute = false;
  at::ScalarType compute_type;

 private:
  struct Half {
    Conv2d conv_in;
    std::vector<std::vector<ResnetBlock>> levels;  // in the order of use
    std::vector<std::optional<Conv2d>> samplers;   // after each level
    ResnetBlock middle_0, middle_1;
    PixelAttention middle_attention;
    GroupNorm norm_out;
    Conv2d conv_out;
    void pack();
    static Half encoder(const Weights& w, const AutoencoderConfig& config);
    static Half decoder(const Weights& w, const AutoencoderConfig& config);
  };
  using Picture = std::function<at::Tensor(const at::Tensor&)>;
  at::Tensor stage(const at::Tensor& x, const Picture& body) const;
  at::Tensor run_middle(const Half& half, const at::Tensor& x) const;
  at::Tensor moments(const at::Tensor& image) const;  // [B,8,h,w]
  at::Tensor pixels(const at::Tensor& z) const;
  at::Tensor in_slices(const at::Tensor& x, const Picture& body) const;

  AutoencoderConfig config_;
  Weights weights_;
  Half encoder_, decoder_;
  std::optional<Conv2d> quant_conv_, post_quant_conv_;
  std::vector<at::Tensor> all_parameters_;
  at::ScalarType packed_as_ = at::ScalarType::Undefined;
};

/// body applied to overlapping square tiles of x [B,C,H,W], blended linearly. A tile of t pixels becomes one
/// of t * up / down; tiles begin at multiples of `down`. Sizes are in x's pixels.
at::Tensor in_tiles(const at::Tensor& x, int64_t tile, int64_t overlap, int64_t up, int64_t down,
                    const std::function<at::Tensor(const at::Tensor&)>& body);

}  // namespace t3d::diffusion
