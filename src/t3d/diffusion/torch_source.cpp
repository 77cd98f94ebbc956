#include "t3d/diffusion/torch_source.h"

#include <ATen/ATen.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "t3d/core/error.h"
#include "t3d/core/text_ends.h"
#include "t3d/diffusion/tensor_copy.h"
#include "t3d/io/json_file.h"
#include "t3d/io/torch_file.h"

namespace t3d::diffusion {

at::Tensor converted_copy(const at::Tensor& tensor, at::ScalarType dtype, c10::Device device) {
  const auto type = tensor.is_floating_point() ? dtype : tensor.scalar_type();
  // Contiguous first: a copy of a transposed view would keep its strides and be copied once more.
  return at::empty(tensor.sizes(), at::TensorOptions().dtype(type).device(device)).copy_(tensor);
}

namespace {

namespace fs = std::filesystem;

class TorchSource : public TensorSource {
 public:
  explicit TorchSource(const std::string& path) : file_(path) {}
  const std::string& where() const override { return file_.path(); }
  std::vector<std::string> names() const override { return file_.names(); }
  bool has(const std::string& name) const override { return file_.contains(name); }
  std::vector<int64_t> shape(const std::string& name) const override { return file_.entry(name).shape; }
  at::Tensor load(const std::string& name, at::ScalarType dtype, c10::Device device) const override {
    auto copy = converted_copy(file_.tensor(name), dtype, device);
    file_.release(name);
    return copy;
  }

 private:
  io::TorchFile file_;
};

constexpr const char* kTorchEndings[] = {".bin", ".pt", ".pth", ".ckpt"};

}  // namespace

std::shared_ptr<TensorSource> torch_source(const std::string& path) {
  return std::make_shared<TorchSource>(path);
}

std::shared_ptr<TensorSource> sharded_source(const std::string& index_path) {
  const auto index = io::read_json_file(index_path);
  const auto fail = [&](const std::string& what) {
    throw UserError(cat(index_path, ": ", what, ". Get all files of the model again."));
  };
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object())
    fail("has no \"weight_map\" that says which file holds which tensor");
  std::set<std::string> files;
  for (const auto& [name, file] : index["weight_map"].items()) {
    if (!file.is_string() || file.get<std::string>().find('/') != std::string::npos ||
        !is_weights_file(file.get<std::string>()) || ends_with(file.get<std::string>(), ".json"))
      fail(cat("tensor ", name, " is not in a weights file of the same folder"));
    files.insert(file.get<std::string>());
  }
  const fs::path folder = fs::path(index_path).parent_path();
  std::string missing;
  for (const auto& file : files)
    if (!fs::exists(folder / file)) missing += " " + file;
  if (!missing.empty()) fail(cat("these shards are missing:", missing));
  std::map<std::string, std::shared_ptr<TensorSource>> shards;
  for (const auto& file : files) shards[file] = open_source((folder / file).string());
  for (const auto& [name, file] : index["weight_map"].items())
    if (!shards.at(file.get<std::string>())->has(name))
      fail(cat("tensor ", name, " is not in ", file.get<std::string>()));
  std::vector<std::shared_ptr<TensorSource>> parts;
  for (const auto& [file, shard] : shards) parts.push_back(shard);
  return joined_source(index_path, std::move(parts));
}

bool is_weights_file(const std::string& path) {
  if (ends_with(path, ".safetensors") || ends_with(path, ".index.json")) return true;
  for (const char* ending : kTorchEndings)
    if (ends_with(path, ending)) return true;
  return false;
}

std::shared_ptr<TensorSource> open_source(const std::string& path) {
  if (ends_with(path, ".safetensors")) return safetensors_source(path);
  if (ends_with(path, ".index.json")) return sharded_source(path);
  if (is_weights_file(path)) return torch_source(path);
  throw UserError(cat(path,
                      ": not a weights file; the endings are .safetensors, .bin, .pt, .pth, .ckpt and "
                      ".index.json. Name the file itself."));
}

}  // namespace t3d::diffusion
