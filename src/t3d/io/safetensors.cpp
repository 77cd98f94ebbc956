#include "t3d/io/safetensors.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "t3d/core/atomic_file.h"
#include "t3d/core/checksum.h"
#include "t3d/core/error.h"
#include "t3d/core/sentence.h"
#include "t3d/io/float8.h"

namespace t3d::io {
namespace {

struct TypeName {
  const char* name;
  at::ScalarType type;
};
constexpr TypeName kTensorTypes[] = {{"F32", at::kFloat},  {"F16", at::kHalf},        {"BF16", at::kBFloat16},
                                     {"F64", at::kDouble}, {"I64", at::kLong},        {"I32", at::kInt},
                                     {"I16", at::kShort},  {"I8", at::kChar},         {"U8", at::kByte},
                                     {"BOOL", at::kBool},  {"C64", at::kComplexFloat}};

const char* format_name(at::ScalarType dtype, const std::string& name) {
  for (const auto& type : kTensorTypes)
    if (type.type == dtype) return type.name;
  throw UserError(cat("tensor \"", name, "\" is of type ", dtype,
                      ", which the safetensors format does not have. Convert it first."));
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::string& path)
    : path_(path),
      file_(std::make_shared<const MappedFile>(path)),
      header_(parse_safetensors_header(file_->bytes(), file_->n_bytes(), path)) {}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const auto& entry : header_.entries) names.push_back(entry.name);
  return names;
}

namespace {

const SafetensorsEntry* find_entry(const SafetensorsHeader& header, const std::string& name) {
  const auto place = std::lower_bound(
      header.entries.begin(), header.entries.end(), name,
      [](const SafetensorsEntry& entry, const std::string& wanted) { return entry.name < wanted; });
  return place != header.entries.end() && place->name == name ? &*place : nullptr;
}

}  // namespace

bool SafetensorsFile::contains(const std::string& name) const {
  return find_entry(header_, name) != nullptr;
}

const SafetensorsEntry& SafetensorsFile::entry(const std::string& name) const {
  const auto* found = find_entry(header_, name);
  if (found == nullptr)
    throw UserError(cat(path_, ": has no tensor \"", name, "\" among its ", header_.entries.size(),
                        end_or_suggestion(name, names()), " It is not the file that belongs here."));
  return *found;
}

std::string_view SafetensorsFile::bytes(const std::string& name) const {
  const auto& found = entry(name);
  return {file_->data() + header_.data_start + found.begin, static_cast<size_t>(found.end - found.begin)};
}

at::Tensor SafetensorsFile::tensor(const std::string& name) const {
  const auto& found = entry(name);
  if (const auto float8 = float8_named(found.dtype)) {
    if (found.begin == found.end) return at::empty(found.shape, at::TensorOptions().dtype(at::kHalf));
    return decode_float8(at::from_blob(file_->data() + header_.data_start + found.begin, found.shape,
                                       at::TensorOptions().dtype(at::kByte)),
                         *float8);
  }
  const auto* type = std::find_if(std::begin(kTensorTypes), std::end(kTensorTypes),
                                  [&](const TypeName& known) { return found.dtype == known.name; });
  if (type == std::end(kTensorTypes))
    throw UserError(
        cat(path_, ": tensor \"", name, "\" is of type ", found.dtype,
            ", which is not read. Convert the file to F32 or another type of docs/safetensors.md."));
  char* data = file_->data() + header_.data_start + found.begin;
  const size_t n_bytes = static_cast<size_t>(found.end - found.begin);
  if (type->type == at::kBool) {
    const auto* bad = std::find_if(data, data + n_bytes, [](char value) { return value != 0 && value != 1; });
    if (bad != data + n_bytes)
      throw UserError(cat(path_, ": tensor \"", name, "\" of type BOOL holds the byte ",
                          static_cast<int>(static_cast<uint8_t>(*bad)), " at element ", bad - data,
                          ", expected 0 or 1. Get the file again."));
  }
  const auto options = at::TensorOptions().dtype(type->type);
  if (n_bytes == 0) return at::empty(found.shape, options);
  const size_t alignment = at::elementSize(type->type) / (at::isComplexType(type->type) ? 2 : 1);
  if (reinterpret_cast<uintptr_t>(data) % alignment != 0) {
    auto aligned = at::empty(found.shape, options);
    std::copy_n(data, n_bytes, static_cast<char*>(aligned.data_ptr()));
    return aligned;
  }
  return at::from_blob(
      data, found.shape, [mapping = file_](void*) {}, options);
}

at::Tensor SafetensorsFile::copy(const std::string& name) const {
  return tensor(name).clone();
}

void SafetensorsFile::populate(const std::string& name) const {
  const auto& found = entry(name);
  file_->populate(header_.data_start + found.begin, header_.data_start + found.end);
}

void SafetensorsFile::release(const std::string& name) const {
  const auto& found = entry(name);
  file_->release(header_.data_start + found.begin, header_.data_start + found.end);
}

SafetensorsReceipt write_safetensors(const std::string& path,
                                     const std::map<std::string, at::Tensor>& tensors,
                                     const std::map<std::string, std::string>& metadata) {
  std::vector<PlannedTensor> plan;
  for (const auto& [name, tensor] : tensors) {
    T3D_CHECK(tensor.defined(), "tensor \"", name, "\" for ", path, " is not defined");
    plan.push_back({name, tensor.scalar_type(), tensor.sizes().vec(), [&tensor = tensor] { return tensor; }});
  }
  return write_safetensors(path, std::move(plan), metadata);
}

SafetensorsReceipt write_safetensors(const std::string& path, std::vector<PlannedTensor> tensors,
                                     const std::map<std::string, std::string>& metadata) {
  for (const auto& tensor : tensors)
    if (tensor.name == "__metadata__")
      throw UserError(
          "a tensor cannot be named \"__metadata__\" in a safetensors file. Choose another name.");
  // Larger elements first keep every tensor aligned; then by name.
  std::sort(tensors.begin(), tensors.end(), [](const PlannedTensor& a, const PlannedTensor& b) {
    const auto size_a = at::elementSize(a.dtype), size_b = at::elementSize(b.dtype);
    return size_a != size_b ? size_a > size_b : a.name < b.name;
  });

  nlohmann::json header = nlohmann::json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const auto& tensor : tensors) {
    uint64_t n_bytes = at::elementSize(tensor.dtype);
    for (const int64_t size : tensor.shape) n_bytes *= static_cast<uint64_t>(size);
    T3D_CHECK(!header.contains(tensor.name), "tensor \"", tensor.name, "\" for ", path, " is planned twice");
    header[tensor.name] = {{"dtype", format_name(tensor.dtype, tensor.name)},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, offset + n_bytes}}};
    offset += n_bytes;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  if (text.size() > kMaxSafetensorsHeader)
    throw UserError(cat(path, ": the header would have ", text.size(), " bytes, expected at most ",
                        kMaxSafetensorsHeader, ". Write fewer tensors."));

  SafetensorsReceipt receipt;
  AtomicFile file(path);
  const auto put = [&](const void* data, size_t n_bytes) {
    file.write(data, n_bytes);
    receipt.file_crc32c = crc32c(data, n_bytes, receipt.file_crc32c);
  };
  char length[8];
  for (int i = 0; i < 8; ++i) length[i] = static_cast<char>(text.size() >> (8 * i));
  put(length, sizeof length);
  put(text.data(), text.size());
  for (const auto& tensor : tensors) {
    const auto values = tensor.make().detach().to(at::kCPU).contiguous().resolve_conj().resolve_neg();
    T3D_CHECK(values.scalar_type() == tensor.dtype && values.sizes() == at::IntArrayRef(tensor.shape),
              "tensor \"", tensor.name, "\" for ", path, " is not as planned");
    const size_t n_bytes = static_cast<size_t>(values.numel()) * values.element_size();
    receipt.tensor_crc32c[tensor.name] = crc32c(values.data_ptr(), n_bytes);
    put(values.data_ptr(), n_bytes);
  }
  receipt.n_bytes = file.n_bytes();
  file.commit();
  return receipt;
}

}  // namespace t3d::io
