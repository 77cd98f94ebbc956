#include "t3d/diffusion/text_encoder.h"

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "t3d/core/error.h"
#include "t3d/diffusion/json_reader.h"
#include "t3d/diffusion/ldm_names.h"
#include "t3d/diffusion/model_store.h"
#include "t3d/diffusion/torch_source.h"
#include "t3d/io/json_file.h"

namespace t3d::diffusion {

ClipTextConfig ClipTextConfig::from_json(const nlohmann::json& config, const std::string& where) {
  const JsonReader read(config, where);
  read.expect_config_of("a text encoder", "_class_name");
  read.expect("model_type", {"clip_text_model", "clip"});
  if (config.contains("text_config"))
    throw UserError(cat(where,
                        ": is the config of a whole CLIPModel, expected one of a CLIPTextModel. Give the "
                        "text_encoder folder of a diffusion model."));
  ClipTextConfig out;
  out.tower = ClipTowerConfig::from_json(config, where);
  out.n_words = read.whole("vocab_size", out.n_words, 1, 1 << 24);
  out.n_positions = read.whole("max_position_embeddings", out.n_positions, 1, 1 << 16);
  out.end_id = read.whole("eos_token_id", 49407, 0, 1 << 24);
  return out;
}

ClipTextConfig ClipTextConfig::from_file(const std::string& path) {
  return from_json(io::read_json_file(path), path);
}

ClipTextModel::ClipTextModel(const ClipTextConfig& c, const Weights& w)
    : config_(c),
      words_(w.at("embeddings.token_embedding"), c.n_words, c.tower.n_channels),
      positions_(w.at("embeddings.position_embedding"), c.n_positions, c.tower.n_channels),
      layers_(clip_layers(c.tower, w.at("encoder.layers"))),
      final_norm_(w.at("final_layer_norm"), c.tower.n_channels, c.tower.norm_eps),
      compute_type_(arithmetic_type(w.dtype(), w.device())) {
  w.ignore("embeddings.position_ids");  // old files hold 0, 1, 2, ...
}

void ClipTextModel::check_ids(const at::Tensor& ids) const {
  const int64_t low = ids.min().item<int64_t>(), high = ids.max().item<int64_t>();
  if (low < 0 || high >= config_.n_words)
    throw UserError(cat("token ", low < 0 ? low : high, " is not in the text encoder's vocabulary of ",
                        config_.n_words, ". Use the tokenizer of the same model."));
}

ClipTextModel::Output ClipTextModel::operator()(const at::Tensor& ids, bool keep_hidden_states) const {
  T3D_CHECK(ids.dim() == 2 && ids.scalar_type() == at::kLong && ids.numel() > 0, "ids ", ids.sizes());
  const int64_t n = ids.size(1);
  if (n > config_.n_positions)
    throw UserError(cat("the text encoder takes ", config_.n_positions, " tokens, found ", n, "."));
  if (ids.is_cpu()) check_ids(ids);
  const auto sums = sum_type(compute_type_);
  auto x = words_(ids).to(sums) + positions_.weight.slice(0, 0, n).to(sums);  // [B,N,C]
  Output out;
  for (const auto& layer : layers_) {
    if (keep_hidden_states) out.hidden_states.push_back(x);
    x = layer(x, /*causal=*/true, compute_type_);
  }
  if (keep_hidden_states) out.hidden_states.push_back(x);
  out.last_hidden_state = final_norm_(x, compute_type_);
  const auto is_end = config_.end_id == 2 ? ids : ids.eq(config_.end_id).to(at::kInt);
  const auto place = is_end.argmax(1);  // [B], the first of equals
  const auto columns = place.view({-1, 1, 1}).expand({-1, 1, out.last_hidden_state.size(2)});
  out.pooled = out.last_hidden_state.gather(1, columns).squeeze(1);  // [B,C]
  return out;
}

ClipTextModel load_clip_text_model(const std::string& folder, at::ScalarType dtype, c10::Device device,
                                   const AdapterUse& lora) {
  auto source = text_model_source(open_source(find_weights(folder)));
  if (!lora.path.empty())
    source = Adapter::open(lora.path).onto(source, AdaptedPart::TextEncoder, lora.strength);
  const auto weights = Weights::from(source, dtype, device);
  ClipTextModel model(ClipTextConfig::from_file(folder + "/config.json"), weights.at("text_model"));
  weights.check();
  return model;
}

}  // namespace t3d::diffusion
