#include "t3d/diffusion/torch_source.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "t3d/core/error.h"
#include "t3d/core/file_kind.h"
#include "t3d/core/log.h"
#include "t3d/core/text_ends.h"
#include "t3d/diffusion/scaled_source.h"
#include "t3d/diffusion/tensor_copy.h"
#include "t3d/diffusion/weight_files.h"
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

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::shared_ptr<TensorSource> open_file(const std::string& path) {
  const bool is_safetensors = ends_with(path, ".safetensors");
  std::ifstream in(path, std::ios::binary);
  std::string start(512, '\0');
  in.read(start.data(), static_cast<std::streamsize>(start.size()));
  start.resize(static_cast<size_t>(std::max<std::streamsize>(0, in.gcount())));
  const std::string kind = file_kind(start);
  const bool is_other = kind == (is_safetensors ? "a file of torch.save" : "a safetensors file");
  if (is_other) log::info(cat(path, ": is ", kind, " in spite of its ending, and is read as that."));
  return is_safetensors != is_other ? safetensors_source(path) : torch_source(path);
}

/// The shards of a set without an index.
std::shared_ptr<TensorSource> unlisted_shards(const std::string& path) {
  std::vector<std::string> missing;
  const std::vector<std::string> files = shards_of(path, missing);
  if (!missing.empty())
    throw SystemError(cat(path, ": of its ", files.size() + missing.size(),
                          " shards these are missing: ", joined(missing), ". Get all files of the model."));
  std::vector<std::shared_ptr<TensorSource>> parts;
  for (const std::string& file : files) parts.push_back(open_file(file));
  return joined_source(path, std::move(parts));
}

bool is_index(const std::string& path) {
  WeightFileName parts;
  return ends_with(path, ".index.json") ||
         (parse_weight_file_name(fs::path(path).filename().string(), parts) && parts.is_index);
}

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
  const std::string folder = fs::path(index_path).parent_path().string();
  std::map<std::string, std::string> files;  // as the index names them -> as they are named
  std::vector<std::string> missing;
  for (const auto& [name, file] : index["weight_map"].items()) {
    if (!file.is_string() || file.get<std::string>().find('/') != std::string::npos ||
        !is_weights_file(file.get<std::string>()) || ends_with(file.get<std::string>(), ".json"))
      fail(cat("tensor ", name, " is not in a weights file of the same folder"));
    const std::string named = file.get<std::string>();
    if (!files.emplace(named, "").second) continue;
    files[named] = find_shard(folder.empty() ? "." : folder, named);
    if (files[named].empty()) missing.push_back(named);
  }
  if (!missing.empty())
    throw SystemError(cat(index_path, ": these shards are missing: ", joined(missing),
                          ". Get all files of the model again."));
  std::map<std::string, std::shared_ptr<TensorSource>> shards;
  for (const auto& [named, file] : files) shards[named] = open_file((fs::path(folder) / file).string());
  for (const auto& [name, file] : index["weight_map"].items())
    if (!shards.at(file.get<std::string>())->has(name))
      fail(cat("tensor ", name, " is not in ", file.get<std::string>()));
  std::vector<std::shared_ptr<TensorSource>> parts;
  for (const auto& [file, shard] : shards) parts.push_back(shard);
  return joined_source(index_path, std::move(parts));
}

bool is_weights_file(const std::string& path) {
  if (ends_with(path, ".safetensors") || is_index(path)) return true;
  for (const char* ending : kTorchEndings)
    if (ends_with(path, ending)) return true;
  return false;
}

std::shared_ptr<TensorSource> open_source(const std::string& path) {
  WeightFileName parts;
  if (is_index(path)) return scaled_source(sharded_source(path));
  if (parse_weight_file_name(fs::path(path).filename().string(), parts) && parts.shard > 0)
    return scaled_source(unlisted_shards(path));
  if (is_weights_file(path)) return scaled_source(open_file(path));
  const std::string unfinished = unfinished_download(path);
  throw UserError(cat(path, ": not a weights file; the endings are .safetensors, .bin, .pt, .pth, .ckpt and ",
                      ".index.json. ",
                      unfinished.empty() ? "Name the file itself."
                                         : cat("By its name it is ", unfinished, ": finish it first.")));
}

}  // namespace t3d::diffusion
