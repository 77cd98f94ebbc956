#include "t3d/diffusion/masked_language_model.h"

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "t3d/core/error.h"
#include "t3d/diffusion/attention.h"
#include "t3d/diffusion/json_reader.h"
#include "t3d/diffusion/model_store.h"
#include "t3d/diffusion/shape_source.h"
#include "t3d/diffusion/torch_source.h"
#include "t3d/io/json_file.h"

namespace t3d::diffusion {
namespace {

/// Old files call a norm's weight and bias gamma and beta.
std::string present_name(const std::string& name) {
  for (const auto& [old, now] : {std::pair{".gamma", ".weight"}, std::pair{".beta", ".bias"}}) {
    const std::string end = old;
    if (name.size() > end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0)
      return name.substr(0, name.size() - end.size()) + now;
  }
  return name;
}

}  // namespace

MaskedLanguageModelConfig MaskedLanguageModelConfig::from_json(const nlohmann::json& config,
                                                               const std::string& where) {
  const JsonReader read(config, where);
  read.expect("model_type", {"bert"});
  read.expect("hidden_act", {"gelu"});
  read.expect("position_embedding_type", {"absolute"});
  MaskedLanguageModelConfig out;
  out.n_words = read.whole("vocab_size", out.n_words, 1, 1 << 24);
  out.n_positions = read.whole("max_position_embeddings", out.n_positions, 1, 1 << 16);
  out.n_segments = read.whole("type_vocab_size", out.n_segments, 1, 1 << 10);
  out.n_channels = read.whole("hidden_size", out.n_channels, 1, 1 << 16);
  out.n_hidden = read.whole("intermediate_size", out.n_hidden, 1, 1 << 18);
  out.n_layers = read.whole("num_hidden_layers", out.n_layers, 1, 1024);
  out.n_heads = read.whole("num_attention_heads", out.n_heads, 1, 1 << 10);
  out.norm_eps = read.number("layer_norm_eps", out.norm_eps);
  if (out.n_channels % out.n_heads != 0)
    throw UserError(cat(where, ": hidden_size ", out.n_channels, " is no multiple of num_attention_heads ",
                        out.n_heads, "."));
  return out;
}

MaskedLanguageModel::Layer::Layer(const MaskedLanguageModelConfig& c, const Weights& w)
    : query(w.at("attention.self.query"), c.n_channels, c.n_channels),
      key(w.at("attention.self.key"), c.n_channels, c.n_channels),
      value(w.at("attention.self.value"), c.n_channels, c.n_channels),
      out(w.at("attention.output.dense"), c.n_channels, c.n_channels),
      up(w.at("intermediate.dense"), c.n_channels, c.n_hidden),
      down(w.at("output.dense"), c.n_hidden, c.n_channels),
      attention_norm(w.at("attention.output.LayerNorm"), c.n_channels, c.norm_eps),
      norm(w.at("output.LayerNorm"), c.n_channels, c.norm_eps),
      n_heads(c.n_heads) {}

at::Tensor MaskedLanguageModel::Layer::operator()(const at::Tensor& x) const {
  const auto mixed = attention(split_heads(query(x), n_heads), split_heads(key(x), n_heads),
                               split_heads(value(x), n_heads));  // [B,H,N,D]
  const auto y = attention_norm(x + out(join_heads(mixed)));
  return norm(y + down(at::gelu(up(y))));
}

MaskedLanguageModel::MaskedLanguageModel(const MaskedLanguageModelConfig& c, const Weights& w)
    : config_(c),
      words_(w.at("bert.embeddings.word_embeddings"), c.n_words, c.n_channels),
      positions_(w.at("bert.embeddings.position_embeddings"), c.n_positions, c.n_channels),
      segments_(w.at("bert.embeddings.token_type_embeddings"), c.n_segments, c.n_channels),
      embedding_norm_(w.at("bert.embeddings.LayerNorm"), c.n_channels, c.norm_eps),
      transform_(w.at("cls.predictions.transform.dense"), c.n_channels, c.n_channels),
      transform_norm_(w.at("cls.predictions.transform.LayerNorm"), c.n_channels, c.norm_eps),
      bias_(w.take("cls.predictions.bias", {c.n_words}, Init::Zero)) {
  for (int64_t i = 0; i < c.n_layers; ++i) layers_.emplace_back(c, w.at(cat("bert.encoder.layer.", i)));
  for (const char* unused :
       {"bert.embeddings.position_ids", "bert.pooler.dense.weight", "bert.pooler.dense.bias",
        "cls.seq_relationship.weight", "cls.seq_relationship.bias", "cls.predictions.decoder.weight",
        "cls.predictions.decoder.bias"})
    w.ignore(unused);
}

at::Tensor MaskedLanguageModel::operator()(const at::Tensor& ids, int64_t place) const {
  T3D_CHECK(ids.dim() == 2 && ids.scalar_type() == at::kLong && place >= 0 && place < ids.size(1), "ids ",
            ids.sizes(), ", place ", place);
  const int64_t n = ids.size(1);
  if (n > config_.n_positions)
    throw UserError(cat("the language model takes ", config_.n_positions, " tokens, found ", n, "."));
  const auto local = ids.to(words_.weight.device());
  auto x =
      embedding_norm_(words_(local) + positions_.weight.slice(0, 0, n) + segments_.weight[0]);  // [B,N,C]
  for (const Layer& layer : layers_) x = layer(x);
  x = transform_norm_(at::gelu(transform_(x.select(1, place))));  // [B,C]
  return at::linear(x, words_.weight, bias_);
}

MaskedLanguageModel load_masked_language_model(const std::string& folder, c10::Device device,
                                               bool reads_weights) {
  const std::string file = folder + "/config.json";
  const auto config = MaskedLanguageModelConfig::from_json(io::read_json_file(file), file);
  const auto source = renamed_source(open_source(find_weights(folder)), present_name);
  const auto weights = Weights::from(source_or_shapes(reads_weights, source), at::kFloat, device);
  MaskedLanguageModel model(config, weights);
  weights.check();
  return model;
}

}  // namespace t3d::diffusion
