#pragma once

#include <ATen/core/Tensor.h>

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "t3d/diffusion/text_encoder.h"

namespace t3d::diffusion {

struct ClipVisionConfig {
  ClipTowerConfig tower;
  int64_t image_size = 224, patch_size = 32, n_colours = 3;
  int64_t n_patches() const { return (image_size / patch_size) * (image_size / patch_size); }

  static ClipVisionConfig from_json(const nlohmann::json& config, const std::string& where);
};

struct ClipConfig {
  ClipTextConfig text;
  ClipVisionConfig vision;
  int64_t n_shared = 512;  ///< channels of the space that both towers are projected to

  /// Reads a CLIPModel's config.json. Throws UserError for another architecture.
  static ClipConfig from_json(const nlohmann::json& config, const std::string& where);
};

/// Radford et al. 2021, arXiv:2103.00020: images and texts as vectors of one space. Differentiable.
class ClipModel {
 public:
  struct Image {
    at::Tensor embeddings;         ///< [B,1+P,C] class token and patches with their positions
    at::Tensor last_hidden_state;  ///< [B,1+P,C]
    at::Tensor pooled;             ///< [B,C] the class token, normed
    at::Tensor features;           ///< [B,S] projected, not normalised
  };

  /// Does not call weights.check().
  ClipModel(const ClipConfig& config, const Weights& weights);
  /// pixels [B,3,image_size,image_size], normalised: see clip_pixels.
  Image image(const at::Tensor& pixels) const;
  /// ids [B,N] -> [B,S], not normalised
  at::Tensor text_features(const at::Tensor& ids) const;
  const ClipTextModel& text() const { return text_; }
  /// exp(logit_scale) * cosine: [images,texts]
  at::Tensor logits_per_image(const at::Tensor& image_features, const at::Tensor& text_features) const;
  /// Arithmetic of both towers in another type than the weights': bfloat16 over single precision, to train.
  void compute_in(at::ScalarType type);
  const ClipConfig& config() const { return config_; }

 private:
  ClipConfig config_;
  ClipTextModel text_;
  at::Tensor class_embedding_, logit_scale_;
  at::Tensor patch_weight_;  // [C,3,p,p]
  Embedding positions_;
  LayerNorm norm_in_;
  std::vector<ClipLayer> layers_;
  LayerNorm norm_out_;
  Linear image_projection_, text_projection_;
  at::ScalarType compute_type_;
};

/// Rows divided by their Euclidean norms.
at::Tensor unit_rows(const at::Tensor& x);
/// 100 * max(cosine, 0): [images,texts]. Hessel et al. 2021, arXiv:2104.08718.
at::Tensor clip_score(const at::Tensor& image_features, const at::Tensor& text_features);

/// Opens a folder with config.json and model.safetensors.
ClipModel load_clip_model(const std::string& folder, at::ScalarType dtype, c10::Device device);

}  // namespace t3d::diffusion
