#pragma once

#include <ATen/core/Tensor.h>

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "t3d/diffusion/layers.h"

namespace t3d::diffusion {

struct MaskedLanguageModelConfig {
  int64_t n_words = 30522, n_positions = 512, n_segments = 2;
  int64_t n_channels = 768, n_hidden = 3072, n_layers = 12, n_heads = 12;
  double norm_eps = 1e-12;

  /// Reads a BERT model's config.json. Throws UserError that starts with `where` for another architecture,
  /// and for values that are no sizes.
  static MaskedLanguageModelConfig from_json(const nlohmann::json& config, const std::string& where);
};

/// BERT with its language head, which guesses masked words: Devlin et al. 2019, arXiv:1810.04805.
class MaskedLanguageModel {
 public:
  /// Takes transformers' BertForMaskedLM or BertForPreTraining. Does not call weights.check().
  MaskedLanguageModel(const MaskedLanguageModelConfig& config, const Weights& weights);
  /// ids [B,N] int64 on the CPU or the weights' device, N of at most n_positions -> scores before the softmax
  /// for the word at `place` of each row, [B,n_words].
  at::Tensor operator()(const at::Tensor& ids, int64_t place) const;
  const MaskedLanguageModelConfig& config() const { return config_; }

 private:
  struct Layer {
    Layer(const MaskedLanguageModelConfig& config, const Weights& weights);
    at::Tensor operator()(const at::Tensor& x) const;  // [B,N,C] -> [B,N,C]

    Linear query, key, value, out, up, down;
    LayerNorm attention_norm, norm;
    int64_t n_heads;
  };

  MaskedLanguageModelConfig config_;
  Embedding words_, positions_, segments_;
  LayerNorm embedding_norm_;
  std::vector<Layer> layers_;
  Linear transform_;
  LayerNorm transform_norm_;
  at::Tensor bias_;  // [n_words]; the weight is the word embedding's
};

/// Opens a folder with config.json and weights as transformers writes them. Throws as the parts do, with
/// every tensor that does not fit. Without `reads_weights` the model is made of shapes (shape_source.h).
MaskedLanguageModel load_masked_language_model(const std::string& folder, c10::Device device,
                                               bool reads_weights = true);

}  // namespace t3d::diffusion
