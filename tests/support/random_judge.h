#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "t3d/diffusion/clip_model.h"
#include "t3d/diffusion/tokenizer.h"
#include "t3d/diffusion/weights.h"
#include "t3d/io/json_file.h"
#include "t3d/io/safetensors.h"
#include "t3d/prior/text_tokens.h"

namespace t3d::testing {

/// A judge that knows nothing: a small CLIPModel of random weights for pictures of 16 pixels, whose words are
/// those of `texts`.
inline void write_random_judge(const std::string& folder, const std::vector<std::string>& texts) {
  constexpr int kLength = 8;
  prior::write_tokenizer(folder, texts, kLength, 100);
  const auto tokenizer = diffusion::ClipTokenizer::from_folder(folder);
  const nlohmann::json tower = {
      {"hidden_size", 16}, {"intermediate_size", 32}, {"num_hidden_layers", 1}, {"num_attention_heads", 2}};
  nlohmann::json text = tower, vision = tower;
  text.update({{"model_type", "clip_text_model"},
               {"vocab_size", tokenizer.vocabulary_size()},
               {"max_position_embeddings", kLength},
               {"eos_token_id", tokenizer.end_id()}});
  vision.update({{"model_type", "clip_vision_model"}, {"image_size", 16}, {"patch_size", 8}});
  const nlohmann::json config = {
      {"model_type", "clip"}, {"projection_dim", 8}, {"text_config", text}, {"vision_config", vision}};
  io::write_json_file(folder + "/config.json", config);
  const auto weights = diffusion::Weights::random(3);
  const diffusion::ClipModel model(diffusion::ClipConfig::from_json(config, "test"), weights);
  io::write_safetensors(folder + "/model.safetensors", weights.parameters(), {{"format", "pt"}});
}

}  // namespace t3d::testing
