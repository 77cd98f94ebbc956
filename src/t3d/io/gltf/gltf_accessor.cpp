#include "t3d/io/gltf/gltf_accessor.h"

#include <algorithm>
#include <cstring>

#include "t3d/core/error.h"

namespace t3d::io::gltf {
namespace {

// glTF's numbers for component types.
enum : int { kByte = 5120, kUnsignedByte, kShort, kUnsignedShort, kUnsignedInt = 5125, kFloat = 5126 };

size_t component_size(int type) {
  switch (type) {
    case kByte:
    case kUnsignedByte:
      return 1;
    case kShort:
    case kUnsignedShort:
      return 2;
    case kUnsignedInt:
    case kFloat:
      return 4;
    default:
      return 0;
  }
}

int component_type(const Value& value) {
  const uint64_t type = value.whole();
  if (type > 65535 || component_size(static_cast<int>(type)) == 0)
    value.refuse(cat("is ", type, ", expected 5120 to 5123, 5125 or 5126"));
  return static_cast<int>(type);
}

int components_of(const Value& type) {
  const std::string name = type.text();
  if (name == "SCALAR") return 1;
  if (name == "VEC2") return 2;
  if (name == "VEC3") return 3;
  if (name == "VEC4") return 4;
  if (name == "MAT4") return 16;
  type.refuse(cat("is ", name, ", expected SCALAR, VEC2, VEC3, VEC4 or MAT4"));
}

template <class T>
T load(const uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

/// The first of `count` elements of `size` bytes, `stride` apart, in the view that `place` names.
const uint8_t* first_element(Buffers& buffers, const Value& place, uint64_t count, size_t size,
                             size_t stride) {
  const Bytes view = buffers.view(place["bufferView"]);
  const uint64_t offset = place["byteOffset"].whole_or(0);
  if (count == 0) return view.data;
  if (offset > view.size || size > view.size - offset || (count - 1) > (view.size - offset - size) / stride)
    place.refuse(cat("needs ", count, " elements of ", size, " bytes from byte ", offset,
                     " of a buffer view that has ", view.size));
  return view.data + offset;
}

}  // namespace

Accessor::Accessor(Buffers& buffers, const Value& index) {
  const Value accessors = buffers.document().root()["accessors"];
  const Value entry = accessors[index.index(accessors.size())];
  place_ = entry.place();
  count_ = entry["count"].whole();
  if (count_ > 0xffffffffu) entry["count"].refuse(cat("is ", count_, ", and indices end at 4294967295"));
  type_ = component_type(entry["componentType"]);
  const int n_components = components_of(entry["type"]);
  is_normalized_ = entry["normalized"].flag_or(false) && type_ != kFloat;
  size_ = component_size(type_);
  const size_t element_size = size_ * static_cast<size_t>(n_components);
  const Value view = entry["bufferView"];
  if (view.exists()) {
    stride_ = buffers.stride(view);
    if (stride_ == 0) stride_ = element_size;
    data_ = first_element(buffers, entry, count_, element_size, stride_);
  } else if (count_ > buffers.document().limits.max_zeros) {
    entry["count"].refuse(cat("is ", count_, " without a buffer view to hold them"));
  }
  const Value sparse = entry["sparse"];
  if (sparse.exists()) {
    const uint64_t n = sparse["count"].whole();
    const Value indices = sparse["indices"], values = sparse["values"];
    const int index_type = component_type(indices["componentType"]);
    if (index_type == kFloat || index_type == kByte || index_type == kShort)
      indices["componentType"].refuse(cat("is ", index_type, ", expected 5121, 5123 or 5125"));
    const size_t index_size = component_size(index_type);
    const uint8_t* at = first_element(buffers, indices, n, index_size, index_size);
    const uint8_t* value = first_element(buffers, values, n, element_size, element_size);
    replaced_.reserve(n);
    for (uint64_t i = 0; i < n; ++i, at += index_size, value += element_size) {
      const uint32_t where = index_size == 1   ? *at
                             : index_size == 2 ? load<uint16_t>(at)
                                               : load<uint32_t>(at);
      if (where >= count_) indices.refuse(cat("replaces element ", where, " of ", count_));
      replaced_.emplace_back(where, value);
    }
    std::stable_sort(replaced_.begin(), replaced_.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
  }
  n_components_ = n_components;
}

void Accessor::assume_normalized() {
  is_normalized_ = type_ != kFloat;
}

const uint8_t* Accessor::element(uint64_t i) const {
  T3D_CHECK(i < count_, place_, i);
  if (!replaced_.empty()) {
    const auto found =
        std::lower_bound(replaced_.begin(), replaced_.end(), i,
                         [](const auto& entry, uint64_t wanted) { return entry.first < wanted; });
    if (found != replaced_.end() && found->first == i) return found->second;
  }
  return data_ == nullptr ? nullptr : data_ + i * stride_;
}

double Accessor::component(const uint8_t* bytes) const {
  const auto signed_part = [this](double value, double largest) {
    return is_normalized_ ? std::max(value / largest, -1.0) : value;
  };
  const auto part = [this](double value, double largest) { return is_normalized_ ? value / largest : value; };
  switch (type_) {
    case kByte:
      return signed_part(load<int8_t>(bytes), 127.0);
    case kUnsignedByte:
      return part(*bytes, 255.0);
    case kShort:
      return signed_part(load<int16_t>(bytes), 32767.0);
    case kUnsignedShort:
      return part(load<uint16_t>(bytes), 65535.0);
    case kUnsignedInt:
      return part(load<uint32_t>(bytes), 4294967295.0);
    default:
      return static_cast<double>(load<float>(bytes));
  }
}

double Accessor::at(uint64_t i, int c) const {
  const uint8_t* bytes = element(i);
  return bytes == nullptr || c >= n_components_ ? 0.0 : component(bytes + static_cast<size_t>(c) * size_);
}

uint32_t Accessor::whole(uint64_t i, int c) const {
  const uint8_t* bytes = element(i);
  if (bytes == nullptr || c >= n_components_) return 0;
  bytes += static_cast<size_t>(c) * size_;
  switch (type_) {
    case kUnsignedByte:
      return *bytes;
    case kUnsignedShort:
      return load<uint16_t>(bytes);
    case kUnsignedInt:
      return load<uint32_t>(bytes);
    default:
      throw UserError(cat(
          place_, " holds signed or fractional numbers where indices are expected. Export the file again."));
  }
}

}  // namespace t3d::io::gltf
