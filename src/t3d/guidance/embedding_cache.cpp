#include "t3d/guidance/embedding_cache.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "t3d/core/atomic_file.h"
#include "t3d/core/error.h"
#include "t3d/core/log.h"
#include "t3d/diffusion/model_store.h"
#include "t3d/io/safetensors.h"

namespace t3d::guidance {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTensor = "embedding";

/// Path, size and time of what the text encoder is read from.
std::string state_of(const std::string& model_path) {
  std::error_code error;
  std::string out = fs::weakly_canonical(model_path, error).string();
  for (const auto& part : diffusion::inspect_model(model_path).parts) {
    if (part.name != "text_encoder" && part.name != "tokenizer") continue;
    for (const std::string& file : part.files) {
      const fs::path path = fs::exists(file, error) ? fs::path(file) : fs::path(model_path) / file;
      const auto size = fs::file_size(path, error);
      const auto time = fs::last_write_time(path, error).time_since_epoch().count();
      out += cat("|", file, " ", size, " ", time);
    }
  }
  return out;
}

/// FNV-1a.
uint64_t hash_of(const std::string& text, uint64_t start) {
  for (const char c : text) start = (start ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  return start;
}

}  // namespace

EmbeddingCache::EmbeddingCache(std::string folder, const std::string& model_path, bool writes)
    : folder_(std::move(folder)), state_(state_of(model_path)), writes_(writes) {}

std::string EmbeddingCache::file_of(const std::string& text) const {
  constexpr uint64_t kStarts[] = {14695981039346656037ull, 0x9E3779B97F4A7C15ull};
  char name[40];
  std::snprintf(name, sizeof name, "%016llx%016llx",
                static_cast<unsigned long long>(hash_of(text, hash_of(state_, kStarts[0]))),
                static_cast<unsigned long long>(hash_of(text, hash_of(state_, kStarts[1]))));
  return cat(folder_, "/", name, ".safetensors");
}

at::Tensor EmbeddingCache::read(const std::string& text) const {
  const std::string path = file_of(text);
  if (!fs::exists(path)) return {};
  try {
    const io::SafetensorsFile file(path);
    const auto& about = file.metadata();
    const auto says = [&](const char* key, const std::string& value) {
      const auto found = about.find(key);
      return found != about.end() && found->second == value;
    };
    if (!says("text", text) || !says("model", state_)) return {};
    auto embedding = file.copy(kTensor);
    return embedding.dim() == 2 ? embedding.to(at::kFloat) : at::Tensor();
  } catch (const Error& e) {
    log::warning(cat("the embedding cache cannot be read and is made again: ", e.what()));
    return {};
  }
}

void EmbeddingCache::write(const std::string& text, const at::Tensor& embedding) const {
  io::write_safetensors(file_of(text), {{kTensor, embedding.contiguous()}},
                        {{"text", text}, {"model", state_}});
}

std::vector<at::Tensor> EmbeddingCache::get(const std::vector<std::string>& texts, const Embed& embed) const {
  std::vector<at::Tensor> out(texts.size());
  std::vector<std::string> missing;
  for (size_t i = 0; i < texts.size(); ++i) {
    if (!folder_.empty()) out[i] = read(texts[i]);
    if (!out[i].defined() && std::find(missing.begin(), missing.end(), texts[i]) == missing.end())
      missing.push_back(texts[i]);
  }
  if (missing.empty()) return out;
  const auto made = embed(missing);
  T3D_CHECK(made.dim() == 3 && made.size(0) == static_cast<int64_t>(missing.size()), "embeddings ",
            made.sizes());
  for (size_t i = 0; i < texts.size(); ++i) {
    if (out[i].defined()) continue;
    const auto place = std::find(missing.begin(), missing.end(), texts[i]) - missing.begin();
    out[i] = made[place];
  }
  if (folder_.empty() || !writes_) return out;
  try {
    make_folders(folder_);
    for (size_t i = 0; i < missing.size(); ++i) write(missing[i], made[static_cast<int64_t>(i)]);
  } catch (const Error& e) {
    log::warning(cat("the prompt's embeddings are not kept for another run: ", e.what()));
  }
  return out;
}

}  // namespace t3d::guidance
