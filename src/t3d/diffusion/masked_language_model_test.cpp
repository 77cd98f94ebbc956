#include "t3d/diffusion/masked_language_model.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/io/safetensors.h"
#include "tests/support/temporary_folder.h"

namespace t3d::diffusion {
namespace {

using Tensors = std::map<std::string, at::Tensor>;

MaskedLanguageModelConfig small() {
  MaskedLanguageModelConfig c;
  c.n_words = 20;
  c.n_positions = 12;
  c.n_channels = 8;
  c.n_hidden = 16;
  c.n_layers = 2;
  c.n_heads = 2;
  return c;
}

/// The parameters of a model whose norms and biases are not trivial.
Tensors random_parameters() {
  const auto weights = Weights::random(3);
  const MaskedLanguageModel model(small(), weights);
  Tensors out;
  for (const auto& [name, tensor] : weights.parameters())
    out[name] = tensor + 0.3 * at::randn(tensor.sizes());
  return out;
}

at::Tensor normed(const at::Tensor& x, const Tensors& p, const std::string& name) {
  const auto centred = x - x.mean(-1, true);
  const auto deviation = (centred.square().mean(-1, true) + 1e-12).sqrt();
  return centred / deviation * p.at(name + ".weight").to(at::kDouble) + p.at(name + ".bias").to(at::kDouble);
}

at::Tensor linear(const at::Tensor& x, const Tensors& p, const std::string& name) {
  return x.matmul(p.at(name + ".weight").to(at::kDouble).t()) + p.at(name + ".bias").to(at::kDouble);
}

at::Tensor exact_gelu(const at::Tensor& x) {
  return 0.5 * x * (1 + at::erf(x / std::sqrt(2.)));
}

/// Devlin et al. 2019 word for word, in double precision, one head after the other: [N] -> [n_words].
at::Tensor reference(const at::Tensor& ids, int64_t place, const Tensors& p) {
  const auto row = [&](const std::string& name) {
    return p.at("bert.embeddings." + name + ".weight").to(at::kDouble);
  };
  auto x = row("word_embeddings").index_select(0, ids) + row("position_embeddings").slice(0, 0, ids.size(0)) +
           row("token_type_embeddings")[0];
  x = normed(x, p, "bert.embeddings.LayerNorm");
  for (int layer = 0; layer < 2; ++layer) {
    const std::string at_layer = "bert.encoder.layer." + std::to_string(layer) + ".";
    const auto q = linear(x, p, at_layer + "attention.self.query"),
               k = linear(x, p, at_layer + "attention.self.key"),
               v = linear(x, p, at_layer + "attention.self.value");
    std::vector<at::Tensor> heads;
    for (int64_t h = 0; h < 2; ++h) {
      const auto of = [&](const at::Tensor& t) { return t.slice(1, 4 * h, 4 * h + 4); };
      heads.push_back((of(q).matmul(of(k).t()) / 2.).softmax(1).matmul(of(v)));
    }
    x = normed(x + linear(at::cat(heads, 1), p, at_layer + "attention.output.dense"), p,
               at_layer + "attention.output.LayerNorm");
    const auto wide = exact_gelu(linear(x, p, at_layer + "intermediate.dense"));
    x = normed(x + linear(wide, p, at_layer + "output.dense"), p, at_layer + "output.LayerNorm");
  }
  const auto head = normed(exact_gelu(linear(x[place], p, "cls.predictions.transform.dense")), p,
                           "cls.predictions.transform.LayerNorm");
  return row("word_embeddings").matmul(head) + p.at("cls.predictions.bias").to(at::kDouble);
}

TEST(MaskedLanguageModel, IsTheFormulaOfThePaper) {
  at::manual_seed(1);
  const auto parameters = random_parameters();
  const MaskedLanguageModel model(small(), Weights::from_tensors(parameters));
  const auto ids = at::randint(0, 20, {3, 7}, at::kLong);
  const auto scores = model(ids, 4);
  ASSERT_EQ(scores.sizes(), at::IntArrayRef({3, 20}));
  for (int64_t i = 0; i < 3; ++i) {
    const auto wanted = reference(ids[i], 4, parameters);
    EXPECT_LT((scores[i].to(at::kDouble) - wanted).norm().item<double>() / wanted.norm().item<double>(),
              1e-5);
  }
}

TEST(MaskedLanguageModel, OpensFilesWithOldNamesAndPartsThatItDoesNotNeed) {
  at::manual_seed(2);
  const testing::TemporaryFolder folder;
  const auto parameters = random_parameters();
  Tensors old;
  for (const auto& [name, tensor] : parameters) {
    std::string to = name;
    for (const auto& [now, before] :
         {std::pair{"LayerNorm.weight", "LayerNorm.gamma"}, std::pair{"LayerNorm.bias", "LayerNorm.beta"}})
      if (const auto place = to.find(now); place != std::string::npos)
        to.replace(place, std::string(now).size(), before);
    old[to] = tensor;
  }
  old["bert.pooler.dense.weight"] = at::zeros({8, 8});
  old["cls.seq_relationship.bias"] = at::zeros({2});
  io::write_safetensors(folder / "model.safetensors", old);
  write_file_atomically(
      folder / "config.json",
      R"({"model_type": "bert", "vocab_size": 20, "max_position_embeddings": 12, "hidden_size": 8,
                            "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2})");
  const auto ids = at::randint(0, 20, {1, 12}, at::kLong);
  EXPECT_TRUE(at::equal(load_masked_language_model(folder.string(), c10::kCPU)(ids, 0),
                        MaskedLanguageModel(small(), Weights::from_tensors(parameters))(ids, 0)));
  old.erase("cls.predictions.bias");
  io::write_safetensors(folder / "model.safetensors", old);
  EXPECT_THROW(load_masked_language_model(folder.string(), c10::kCPU), UserError);
}

TEST(MaskedLanguageModel, RefusesOtherArchitecturesAndLongTexts) {
  const auto read = [](const char* text) {
    return MaskedLanguageModelConfig::from_json(nlohmann::json::parse(text), "config.json");
  };
  EXPECT_EQ(read(R"({"model_type": "bert"})").n_layers, 12);
  EXPECT_THROW(read(R"({"model_type": "roberta"})"), UserError);
  EXPECT_THROW(read(R"({"model_type": "bert", "hidden_act": "relu"})"), UserError);
  EXPECT_THROW(read(R"({"model_type": "bert", "num_attention_heads": 7})"), UserError);
  const MaskedLanguageModel model(small(), Weights::random(1));
  EXPECT_THROW(model(at::zeros({1, 13}, at::kLong), 0), UserError);
}

}  // namespace
}  // namespace t3d::diffusion
