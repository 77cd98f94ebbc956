#include <ATen/ATen.h>

#include "t3d/core/error.h"
#include "t3d/core/text.h"
#include "t3d/diffusion/tensor_copy.h"
#include "t3d/diffusion/weights.h"
#include "t3d/io/safetensors.h"

namespace t3d::diffusion {
namespace {

class SafetensorsSource : public TensorSource {
 public:
  explicit SafetensorsSource(const std::string& path)
      : file_(std::make_shared<const io::SafetensorsFile>(path)) {}
  const std::string& where() const override { return file_->path(); }
  std::vector<std::string> names() const override { return file_->names(); }
  bool has(const std::string& name) const override { return file_->contains(name); }
  std::vector<int64_t> shape(const std::string& name) const override { return file_->entry(name).shape; }
  at::Tensor load(const std::string& name, at::ScalarType dtype, c10::Device device) const override {
    const at::Tensor mapped = file_->tensor(name);
    file_->populate(name);
    if (device.is_cpu() && (mapped.scalar_type() == dtype || !mapped.is_floating_point()))
      return at::from_blob(
          mapped.data_ptr(), mapped.sizes(), [file = file_, mapped, name](void*) { file->release(name); },
          mapped.options());
    auto copy = converted_copy(mapped, dtype, device);
    file_->release(name);
    return copy;
  }

 private:
  std::shared_ptr<const io::SafetensorsFile> file_;
};

class MemorySource : public TensorSource {
 public:
  MemorySource(std::string where, std::map<std::string, at::Tensor> tensors)
      : where_(std::move(where)), tensors_(std::move(tensors)) {}
  const std::string& where() const override { return where_; }
  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : tensors_) names.push_back(name);
    return names;
  }
  bool has(const std::string& name) const override { return tensors_.count(name) > 0; }
  std::vector<int64_t> shape(const std::string& name) const override {
    return tensors_.at(name).sizes().vec();
  }
  at::Tensor load(const std::string& name, at::ScalarType dtype, c10::Device device) const override {
    return converted_copy(tensors_.at(name), dtype, device);
  }

 private:
  std::string where_;
  std::map<std::string, at::Tensor> tensors_;
};

/// Names of this source and where each one lies.
class MappedSource : public TensorSource {
 public:
  struct Place {
    std::shared_ptr<TensorSource> source;
    std::string name;
  };
  MappedSource(std::string where, std::map<std::string, Place> places)
      : where_(std::move(where)), places_(std::move(places)) {}
  const std::string& where() const override { return where_; }
  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, place] : places_) names.push_back(name);
    return names;
  }
  bool has(const std::string& name) const override { return places_.count(name) > 0; }
  std::vector<int64_t> shape(const std::string& name) const override {
    const Place& place = places_.at(name);
    return place.source->shape(place.name);
  }
  at::Tensor load(const std::string& name, at::ScalarType dtype, c10::Device device) const override {
    const Place& place = places_.at(name);
    return place.source->load(place.name, dtype, device);
  }

 private:
  std::string where_;
  std::map<std::string, Place> places_;
};

}  // namespace

std::shared_ptr<TensorSource> safetensors_source(const std::string& path) {
  return std::make_shared<SafetensorsSource>(path);
}

std::shared_ptr<TensorSource> memory_source(std::string where, std::map<std::string, at::Tensor> tensors) {
  return std::make_shared<MemorySource>(std::move(where), std::move(tensors));
}

std::shared_ptr<TensorSource> joined_source(std::string where,
                                            std::vector<std::shared_ptr<TensorSource>> parts) {
  std::map<std::string, MappedSource::Place> places;
  for (const auto& part : parts)
    for (const std::string& name : part->names())
      if (!places.emplace(name, MappedSource::Place{part, name}).second)
        throw UserError(cat(part->where(), ": tensor ", name, " is already in ",
                            places.at(name).source->where(),
                            ". Remove the shard that does not belong here."));
  return std::make_shared<MappedSource>(std::move(where), std::move(places));
}

std::shared_ptr<TensorSource> renamed_source(std::shared_ptr<TensorSource> source,
                                             const std::function<std::string(const std::string&)>& rename) {
  std::map<std::string, MappedSource::Place> places;
  for (const std::string& name : source->names()) {
    const std::string to = rename(name);
    if (!to.empty() && !places.emplace(to, MappedSource::Place{source, name}).second)
      throw UserError(cat(source->where(), ": tensors ", name, " and ", places.at(to).name,
                          " are the same part of the model. Keep one of them."));
  }
  return std::make_shared<MappedSource>(source->where(), std::move(places));
}

}  // namespace t3d::diffusion
