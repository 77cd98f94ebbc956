#include "t3d/evaluate/judge.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <filesystem>

#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/diffusion/model_store.h"

namespace t3d::evaluate {
namespace {

namespace fs = std::filesystem;
namespace ds = t3d::diffusion;

const char* const kShipped = "toybox/judge";
constexpr size_t kTextsAtOnce = 128, kPicturesAtOnce = 32;

const std::string& checked(const std::string& folder) {
  if (!fs::is_directory(folder))
    throw SystemError(
        cat(folder,
            ": there is no such folder, expected a CLIPModel to judge with. Train one with t3d prior "
            "train --config configs/toybox/judge.yaml, or name another."));
  for (const char* name : {"config.json", "model.safetensors", "vocab.json", "merges.txt"})
    if (!fs::exists(fs::path(folder) / name))
      throw SystemError(cat(folder, ": has no ", name,
                            ", expected a CLIPModel and its tokenizer as transformers saves them."));
  return folder;
}

ds::ClipImageConfig image_config(const std::string& folder, int64_t size) {
  ds::ClipImageConfig config;
  config.shortest_edge = config.crop_width = config.crop_height = static_cast<int>(size);
  const std::string path = (fs::path(folder) / "preprocessor_config.json").string();
  if (fs::exists(path)) config = ds::ClipImageConfig::from_file(path);
  if (config.crop_width != size || config.crop_height != size)
    throw UserError(cat(path, ": pictures become ", config.crop_width, "x", config.crop_height,
                        " pixels, but the model of ", folder, " takes ", size, "x", size, "."));
  return config;
}

ds::ClipTokenizer open_tokenizer(const std::string& folder, const ds::ClipModel& model) {
  auto tokenizer = ds::ClipTokenizer::from_folder(folder);
  const auto& text = model.config().text;
  if (tokenizer.vocabulary_size() > text.n_words || tokenizer.max_length() > text.n_positions)
    throw UserError(cat(folder, ": the tokenizer has ", tokenizer.vocabulary_size(), " words and texts of ",
                        tokenizer.max_length(), " tokens, but the model takes ", text.n_words, " and ",
                        text.n_positions, ". Put the tokenizer of the same model there."));
  return tokenizer;
}

}  // namespace

std::string find_judge(const std::string& model_path) {
  if (!model_path.empty())
    if (const auto beside = fs::path(model_path) / "judge"; fs::is_directory(beside)) return beside.string();
  const std::string shipped = ds::find_beside_models(kShipped);
  return shipped.empty() ? cat("models/", kShipped) : shipped;
}

Judge::Judge(const std::string& folder, c10::Device device)
    : folder_(checked(folder)),
      device_(device),
      model_(ds::load_clip_model(folder, at::kFloat, device)),
      tokenizer_(open_tokenizer(folder, model_)) {
  images = image_config(folder, model_.config().vision.image_size);
}

at::Tensor Judge::texts(const std::vector<std::string>& texts) const {
  const c10::NoGradGuard no_grad;
  std::vector<at::Tensor> parts;
  size_t n_cut = 0;
  std::string example;
  for (size_t first = 0; first < texts.size(); first += kTextsAtOnce) {
    const size_t n = std::min(kTextsAtOnce, texts.size() - first);
    auto ids = at::empty({static_cast<int64_t>(n), tokenizer_.max_length()}, at::kLong);
    for (size_t i = 0; i < n; ++i) {
      const auto tokens = tokenizer_.encode_padded(texts[first + i]);
      if (!tokens.cut.empty() && n_cut++ == 0)
        example = cat("\"", texts[first + i], "\" loses \"", tokens.cut, "\"");
      std::copy(tokens.ids.begin(), tokens.ids.end(), ids[static_cast<int64_t>(i)].data_ptr<int64_t>());
    }
    parts.push_back(ds::unit_rows(model_.text_features(ids.to(device_))).cpu());
  }
  if (n_cut > 0)
    log::warning(cat(n_cut, " of ", texts.size(), " texts are longer than the judge's ",
                     tokenizer_.max_length() - 2, " tokens: ", example));
  return parts.empty() ? at::empty({0, model_.config().n_shared}) : at::cat(parts);
}

at::Tensor Judge::pictures(const std::vector<io::Image8>& pictures) const {
  const c10::NoGradGuard no_grad;
  std::vector<at::Tensor> parts;
  for (size_t first = 0; first < pictures.size(); first += kPicturesAtOnce) {
    std::vector<at::Tensor> pixels;
    for (size_t i = first; i < std::min(first + kPicturesAtOnce, pictures.size()); ++i)
      pixels.push_back(ds::clip_pixels(pictures[i], images));
    parts.push_back(ds::unit_rows(model_.image(at::stack(pixels).to(device_)).features).cpu());
  }
  return parts.empty() ? at::empty({0, model_.config().n_shared}) : at::cat(parts);
}

}  // namespace t3d::evaluate
