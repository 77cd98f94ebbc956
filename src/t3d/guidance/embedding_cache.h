#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

namespace t3d::guidance {

/// Embeddings of texts on disk, one safetensors file each, whole or absent. A file counts only when it names
/// the same text and the same state of the model (path, size and time of the text encoder's files), so that a
/// model that was trained anew is not answered from old files; one that cannot be read is made again.
class EmbeddingCache {
 public:
  /// texts -> [n,T,C] float on the CPU
  using Embed = std::function<at::Tensor(const std::vector<std::string>&)>;

  /// `model_path` is what diffusion::find_model returned. An empty folder: nothing is read or written.
  EmbeddingCache(std::string folder, const std::string& model_path, bool writes = true);

  /// [T,C] for each text. Those that are missing are embedded in one call. A folder that cannot be written to
  /// costs a warning only.
  std::vector<at::Tensor> get(const std::vector<std::string>& texts, const Embed& embed) const;

  std::string file_of(const std::string& text) const;

 private:
  at::Tensor read(const std::string& text) const;  // undefined: not there
  void write(const std::string& text, const at::Tensor& embedding) const;

  std::string folder_, state_;
  bool writes_;
};

}  // namespace t3d::guidance
