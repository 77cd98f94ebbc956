#include "t3d/guidance/prompt_debiasing.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <memory>
#include <numeric>
#include <sstream>

#include "t3d/core/error.h"
#include "t3d/diffusion/masked_language_model.h"
#include "t3d/diffusion/model_store.h"
#include "t3d/diffusion/wordpiece_tokenizer.h"
#include "t3d/guidance/prompt_embeddings.h"

namespace t3d::guidance {
namespace {

constexpr double kLeastRatio = 0.95;

std::vector<std::string> words_of(const std::string& prompt) {
  std::istringstream stream(prompt);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

std::string joined(const std::vector<std::string>& words, const std::vector<bool>& kept) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i)
    if (kept[i]) text += (text.empty() ? "" : " ") + words[i];
  return text;
}

}  // namespace

DirectionGuess masked_word_guess(const std::string& name, c10::Device device, bool reads_weights) {
  const std::string folder = diffusion::find_language_model(name);
  const auto tokenizer =
      std::make_shared<diffusion::WordPieceTokenizer>(diffusion::WordPieceTokenizer::from_folder(folder));
  const auto model = std::make_shared<diffusion::MaskedLanguageModel>(
      diffusion::load_masked_language_model(folder, device, reads_weights));
  if (tokenizer->vocabulary_size() > model->config().n_words)
    throw UserError(cat(folder, ": vocab.txt has ", tokenizer->vocabulary_size(), " tokens, the model ",
                        model->config().n_words, ". Get both from the same model."));
  std::vector<int64_t> directions;
  for (const char* word : kDirectionNames) directions.push_back(tokenizer->id_of(word));
  if (!reads_weights) return [](const std::string&) { return DirectionShares{0.25, 0.25, 0.25, 0.25}; };
  return [tokenizer, model, directions](const std::string& text) {
    const c10::NoGradGuard no_grad;
    std::vector<int64_t> ids{tokenizer->id_of("[CLS]")};
    const auto append = [&](const std::string& part) {
      for (const int64_t id : tokenizer->encode(part)) ids.push_back(id);
    };
    append("This image is depicting a");
    const auto place = static_cast<int64_t>(ids.size());
    ids.push_back(tokenizer->id_of("[MASK]"));
    append("view of " + text);
    const auto most = static_cast<size_t>(model->config().n_positions) - 1;
    if (ids.size() > most) ids.resize(most);
    ids.push_back(tokenizer->id_of("[SEP]"));
    const auto scores = (*model)(at::tensor(ids).unsqueeze(0), place).to(at::kCPU).squeeze(0);  // [n_words]
    const auto shares = scores.index_select(0, at::tensor(directions)).to(at::kDouble).softmax(0);  // [4]
    DirectionShares out;
    for (int64_t i = 0; i < 4; ++i) out[static_cast<size_t>(i)] = shares[i].item<double>();
    return out;
  };
}

std::vector<std::string> debiased_texts(const std::string& prompt, const std::optional<std::vector<int>>& ids,
                                        const DirectionGuess& guess) {
  const auto words = words_of(prompt);
  std::vector<int> candidates(words.size());
  std::iota(candidates.begin(), candidates.end(), 0);
  if (ids) candidates = *ids;
  const std::vector<bool> all(words.size(), true);
  std::vector<std::vector<bool>> kept(kDirections, all);
  const DirectionShares whole = guess(joined(words, all));
  for (const int i : candidates) {
    if (i < 0 || static_cast<size_t>(i) >= words.size())
      throw UserError(cat("prompt_processor.prompt_debiasing_mask_ids: has ", i, ", but \"", prompt,
                          "\" has ", words.size(), " words. Give numbers from 0 to ",
                          words.empty() ? 0 : words.size() - 1, "."));
    std::vector<bool> without = all;
    without[static_cast<size_t>(i)] = false;
    const DirectionShares rest = guess(joined(words, without));
    for (size_t v = 0; v < kept.size(); ++v)
      if (whole[v] / (0.5 * rest[v] + 0.5 * whole[v]) < kLeastRatio) kept[v][static_cast<size_t>(i)] = false;
  }
  std::vector<std::string> texts;
  texts.reserve(kept.size());
  for (const auto& of_view : kept) texts.push_back(joined(words, of_view));
  return texts;
}

}  // namespace t3d::guidance
