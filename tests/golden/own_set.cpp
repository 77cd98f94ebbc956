#include "tests/golden/own_set.h"

#include <filesystem>

#include "t3d/core/atomic_file.h"
#include "t3d/core/text_ends.h"
#include "t3d/diffusion/weights.h"
#include "t3d/io/json_file.h"
#include "t3d/io/safetensors.h"

namespace t3d::testing {
namespace {

namespace fs = std::filesystem;

void make_folder_of(const std::string& file) {
  fs::create_directories(fs::path(file).parent_path());
}

}  // namespace

void OwnSet::write_json(const std::string& name, const nlohmann::json& value) const {
  make_folder_of(path(name));
  io::write_json_file(path(name), value);
}

void OwnSet::write_text(const std::string& name, const std::string& text) const {
  make_folder_of(path(name));
  write_file_atomically(path(name), text);
}

void OwnSet::write_tensors(const std::string& name, Tensors tensors) const {
  for (auto& [key, tensor] : tensors) {
    tensor = tensor.detach();
    if (tensor.scalar_type() == at::kDouble) tensor = tensor.to(at::kFloat);
    tensor = tensor.contiguous();
  }
  make_folder_of(path(name));
  io::write_safetensors(path(name), tensors);
}

void OwnSet::add(const std::string& file, Tensors tensors, const nlohmann::json& options) {
  write_tensors(file, std::move(tensors));
  set_options(file, options);
}

Tensors random_tensors(const std::map<std::string, at::Tensor>& like, uint64_t seed) {
  const auto random = diffusion::Weights::random(seed);
  Tensors out;
  for (const auto& [name, tensor] : like) {
    const bool is_scale = tensor.dim() < 2 && (ends_with(name, "weight") || ends_with(name, "scale"));
    const auto drawn = random.take(name, tensor.sizes().vec());
    out[name] = is_scale ? drawn + 1 : drawn;
  }
  return out;
}

Tensors in_half(Tensors tensors) {
  for (auto& [name, tensor] : tensors) tensor = tensor.to(at::kHalf);
  return tensors;
}

}  // namespace t3d::testing
