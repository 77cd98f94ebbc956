#include "t3d/guidance/prompt_debiasing.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/diffusion/masked_language_model.h"
#include "t3d/guidance/stable_diffusion_prompts.h"
#include "t3d/io/safetensors.h"
#include "tests/support/golden_cases.h"
#include "tests/support/temporary_folder.h"

namespace t3d::guidance {
namespace {

using ::testing::ElementsAre;
using testing::golden_path;

/// "smiling" speaks for the front, "tail" for the back.
DirectionShares by_words(const std::string& text) {
  DirectionShares shares{0.25, 0.25, 0.25, 0.25};
  if (text.find("smiling") != std::string::npos) shares = {0.2, 0.5, 0.1, 0.2};
  if (text.find("tail") != std::string::npos) std::swap(shares[1], shares[2]);
  return shares;
}

TEST(PromptDebiasing, LeavesOutWhatSpeaksAgainstADirection) {
  // 0.1 / ((0.1 + 0.25) / 2) = 0.57 for the back, 0.2 / ((0.2 + 0.25) / 2) = 0.89 for side and overhead.
  EXPECT_THAT(debiased_texts("a smiling  cat", {}, by_words),
              ElementsAre("a cat", "a smiling cat", "a cat", "a cat"));
  EXPECT_THAT(debiased_texts("a cat", {}, by_words), ElementsAre("a cat", "a cat", "a cat", "a cat"));
  EXPECT_THAT(debiased_texts("", {}, by_words), ElementsAre("", "", "", ""));
}

TEST(PromptDebiasing, LeavesOutOnlyWordsThatMayGo) {
  EXPECT_THAT(debiased_texts("a smiling cat", std::vector<int>{0, 2}, by_words),
              ElementsAre("a smiling cat", "a smiling cat", "a smiling cat", "a smiling cat"));
  EXPECT_THROW(debiased_texts("a smiling cat", std::vector<int>{3}, by_words), UserError);
  EXPECT_THROW(debiased_texts("a smiling cat", std::vector<int>{-1}, by_words), UserError);
}

/// A BERT of random weights whose vocabulary has the words of one prompt.
void make_language_model(const std::string& folder) {
  write_file_atomically(folder + "/vocab.txt",
                        "[UNK]\n[CLS]\n[SEP]\n[MASK]\nthis\nimage\nis\ndepicting\na\nview\nof\nside\nfront\n"
                        "back\noverhead\ncorgi\nsmiling\n");
  write_file_atomically(
      folder + "/config.json",
      R"({"model_type": "bert", "vocab_size": 17, "max_position_embeddings": 16, "hidden_size": 8,
                            "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2})");
  diffusion::MaskedLanguageModelConfig config;
  config.n_words = 17;
  config.n_positions = 16;
  config.n_channels = 8;
  config.n_hidden = 16;
  config.n_layers = 1;
  config.n_heads = 2;
  const auto weights = diffusion::Weights::random(5);
  const diffusion::MaskedLanguageModel model(config, weights);
  auto tensors = weights.parameters();
  // Guesses that are far from even, and hear what the other words say.
  tensors.at("bert.embeddings.word_embeddings.weight").mul_(50);
  for (const char* layer : {"self.value", "output.dense"})
    tensors.at(cat("bert.encoder.layer.0.attention.", layer, ".weight")).mul_(4);
  io::write_safetensors(folder + "/model.safetensors", tensors);
}

TEST(MaskedWordGuess, IsTheSoftmaxOverTheFourDirections) {
  const testing::TemporaryFolder folder;
  make_language_model(folder.string());
  const auto shares = masked_word_guess(folder.string(), c10::kCPU)("a smiling Corgi");
  EXPECT_NEAR(std::accumulate(shares.begin(), shares.end(), 0.), 1, 1e-12);
  const auto model = diffusion::load_masked_language_model(folder.string(), c10::kCPU);
  const auto ids = at::tensor(std::vector<int64_t>{1, 4, 5, 6, 7, 8, 3, 9, 10, 8, 16, 15, 2}).unsqueeze(0);
  const auto all = model(ids, 6).squeeze(0).to(at::kDouble).softmax(0).slice(0, 11, 15);  // [4]
  for (int64_t v = 0; v < 4; ++v)
    EXPECT_NEAR(shares[static_cast<size_t>(v)], (all[v] / all.sum()).item<double>(), 1e-6);
  masked_word_guess(folder.string(),
                    c10::kCPU)("a text that is longer than the model's sixteen positions are");
}

TEST(StableDiffusionPrompts, AreDebiasedBeforeTheDirectionIsNamed) {
  T3D_NEED_FILE(golden_path("sd1-tiny/unet/config.json"));
  const testing::TemporaryFolder folder;
  make_language_model(folder.string());
  StableDiffusionPrompts::Config config;
  config.prompt = "a smiling corgi";
  config.pretrained_model_name_or_path = golden_path("sd1-tiny");
  config.use_cache = false;
  config.use_prompt_debiasing = true;
  config.pretrained_model_name_or_path_prompt_debiasing = folder.string();
  const auto plain = debiased_texts(config.prompt, {}, masked_word_guess(folder.string(), c10::kCPU));
  EXPECT_THAT(plain, ::testing::Contains(::testing::Ne(config.prompt))) << "the test says nothing otherwise";
  EXPECT_THAT(StableDiffusionPrompts(config, {}).direction_prompts(),
              ElementsAre(plain[0] + ", side view", plain[1] + ", front view", plain[2] + ", back view",
                          plain[3] + ", overhead view"));
  config.prompt_back = "the tail";
  EXPECT_THROW(StableDiffusionPrompts(config, {}), UserError);
  config.prompt_back.reset();
  config.pretrained_model_name_or_path_prompt_debiasing = "no-such-bert";
  EXPECT_THROW(StableDiffusionPrompts(config, {}), SystemError);
}

}  // namespace
}  // namespace t3d::guidance
