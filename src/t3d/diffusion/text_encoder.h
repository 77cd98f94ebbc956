#pragma once

#include <ATen/core/Tensor.h>

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "t3d/diffusion/adapter.h"
#include "t3d/diffusion/clip_layers.h"

namespace t3d::diffusion {

struct ClipTextConfig {
  ClipTowerConfig tower;
  int64_t n_words = 49408, n_positions = 77;
  /// The pooled output is taken at the first token with this number; 2, which old files carry, stands for the
  /// largest number of the row.
  int64_t end_id = 2;

  /// Reads a CLIPTextModel's config.json. Throws UserError that starts with `where` for another architecture,
  /// and for values that are no sizes.
  static ClipTextConfig from_json(const nlohmann::json& config, const std::string& where);
  static ClipTextConfig from_file(const std::string& path);
};

/// The text encoder of Stable Diffusion 1 (CLIP ViT-L/14, every layer) and 2 (OpenCLIP ViT-H/14, whose files
/// already lack the last layer).
class ClipTextModel {
 public:
  struct Output {
    at::Tensor last_hidden_state;           ///< [B,N,C] after the final norm: what the UNet attends to
    at::Tensor pooled;                      ///< [B,C] the same at the end token
    std::vector<at::Tensor> hidden_states;  ///< each layer's input, then the last one's output, no final norm
  };

  /// Does not call weights.check().
  ClipTextModel(const ClipTextConfig& config, const Weights& weights);
  /// ids [B,N] int64, N of at most n_positions. Ids on the CPU are checked; on a device that would make the
  /// host wait for it, so check_ids is the caller's to call.
  Output operator()(const at::Tensor& ids, bool keep_hidden_states = false) const;
  /// Throws UserError for ids that are not in the vocabulary.
  void check_ids(const at::Tensor& ids) const;
  /// Arithmetic in another type than the weights'.
  void compute_in(at::ScalarType type) { compute_type_ = type; }
  const ClipTextConfig& config() const { return config_; }

 private:
  ClipTextConfig config_;
  Embedding words_, positions_;
  std::vector<ClipLayer> layers_;
  LayerNorm final_norm_;
  at::ScalarType compute_type_;
};

/// Opens a folder with config.json and weights in any naming of find_weights, changed by `lora`. Throws as
/// the parts do, with every tensor that does not fit.
ClipTextModel load_clip_text_model(const std::string& folder, at::ScalarType dtype, c10::Device device,
                                   const AdapterUse& lora = {});

}  // namespace t3d::diffusion
